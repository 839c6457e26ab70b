import { type ApiToken, parseSpec } from "../kube/resources/api-token.ts";
import { getApiToken } from "../kube/resources/api-token-api.ts";
import { FINALIZER, MANAGED_LABEL } from "../kube/resources/group.ts";
import { reduceSecret, type SecretView } from "../kube/resources/secret.ts";
import { getSecret } from "../kube/resources/secret-api.ts";
import type { Store } from "../kube/store.ts";
import type { KubeTransport } from "../kube/transport.ts";
import type { Queryable } from "../postgres/database.ts";
import { findResourceTokens, type TokenRecord } from "../postgres/tokens.ts";
import { type Decoration, diffDecoration, wantDecoration } from "../token/decoration.ts";
import { isSameHash, type Keyring } from "../token/keyring.ts";
import type { Observed, ObservedResource, ObservedSecret } from "../token/model.ts";
import type { ParsedSpec } from "../token/plan.ts";

/** The caches that the reflectors fill, keyed by "namespace/name". */
export interface Caches {
  readonly apiTokens: Store<ApiToken>;
  /** The Secrets that carry our label. */
  readonly secrets: Store<SecretView>;
}

/** The index of `Caches.secrets` by the uid of the controlling owner. */
export const SECRETS_BY_OWNER = "owner";

export interface ObserveContext {
  readonly transport: KubeTransport;
  readonly db: Queryable;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly clusterId: string;
}

/** What was seen, reduced to what `plan` needs, together with the objects that `execute` acts on. */
export interface Observation {
  readonly spec: ParsedSpec;
  readonly observed: Observed;
  readonly resource: ApiToken | undefined;
  /** The Secret of the wanted name, if it is ours. */
  readonly secret: SecretView | undefined;
  readonly strays: readonly SecretView[];
  readonly wantedDecoration: Decoration | undefined;
}

/** The key of an object in queue and caches. */
export function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/**
 * Looks at everything that concerns one ApiToken, once. From the cache, or `live`: read consistently from the API
 * server. The rows always come from the database.
 */
export async function observe(context: ObserveContext, key: string, source: "cache" | "live"): Promise<Observation> {
  const [namespace = "", name = ""] = key.split("/");
  const resource = source === "live" ? await readApiToken(context, namespace, name) : context.caches.apiTokens.get(key);
  const spec = resource === undefined ? { problem: "there is no such ApiToken" } : parseSpec(resource);
  const { named, strays } = await findSecrets(context, resource, spec.desired?.secret.name, source);
  const { now, tokens } = await findResourceTokens(context.db, context.clusterId, { namespace, name });

  const secret = named !== undefined && named.owner?.uid === resource?.metadata.uid ? named : undefined;
  const held = secret && spec.desired && findHeldToken(secret, tokens, [spec.desired.secret.key]);
  const wantedDecoration = spec.desired && held && wantDecoration(spec.desired, MANAGED_LABEL, held);
  return {
    spec,
    resource,
    secret,
    strays,
    wantedDecoration,
    observed: {
      now,
      tokens,
      resource: resource && describeResource(resource),
      secret: describeSecret(named, secret, held, wantedDecoration),
      straySecrets: strays.map((stray) => ({
        name: stray.metadata.name,
        holds: findHeldToken(stray, tokens, Object.keys(stray.fingerprints))?.id,
      })),
    },
  };
}

async function readApiToken({ transport, caches }: ObserveContext, namespace: string, name: string) {
  const resource = await getApiToken(transport, namespace, name);
  if (resource === undefined) caches.apiTokens.remove(keyOf({ namespace, name }));
  else caches.apiTokens.upsert(resource);
  return resource;
}

/** The Secret of the wanted name, whoever's it is, and all others that this ApiToken owns. */
async function findSecrets(
  context: ObserveContext,
  resource: ApiToken | undefined,
  wantedName: string | undefined,
  source: "cache" | "live",
): Promise<{ named: SecretView | undefined; strays: SecretView[] }> {
  if (resource === undefined) return { named: undefined, strays: [] };
  const { namespace, uid } = resource.metadata;
  const owned = context.caches.secrets.byIndex(SECRETS_BY_OWNER, uid);
  const read = (name: string) =>
    source === "live" ? readSecret(context, namespace, name) : context.caches.secrets.get(keyOf({ namespace, name }));

  const named = wantedName === undefined ? undefined : await read(wantedName);
  const strays: SecretView[] = [];
  for (const { metadata } of owned) {
    const stray = metadata.name === wantedName ? undefined : await read(metadata.name);
    if (stray?.owner?.uid === uid) strays.push(stray);
  }
  return { named, strays };
}

async function readSecret(
  { transport, caches, keyring }: ObserveContext,
  namespace: string,
  name: string,
): Promise<SecretView | undefined> {
  const secret = await getSecret(transport, namespace, name);
  const view = secret && reduceSecret(secret, keyring);
  if (view === undefined) caches.secrets.remove(keyOf({ namespace, name }));
  else if (view.metadata.labels[MANAGED_LABEL] === "true") caches.secrets.upsert(view);
  return view;
}

function findHeldToken(
  secret: SecretView,
  tokens: readonly TokenRecord[],
  keys: readonly string[],
): TokenRecord | undefined {
  return tokens.find((token) =>
    keys.some((key) => {
      const fingerprint = secret.fingerprints[key]?.[token.keyId];
      return fingerprint !== undefined && isSameHash(fingerprint, token.hash);
    }),
  );
}

function describeSecret(
  named: SecretView | undefined,
  secret: SecretView | undefined,
  held: TokenRecord | undefined,
  wantedDecoration: Decoration | undefined,
): ObservedSecret {
  if (named === undefined) return { state: "absent" };
  if (secret === undefined) return { state: "foreign" };
  const isDecorated = wantedDecoration === undefined || diffDecoration(secret.metadata, wantedDecoration) === undefined;
  return { state: "ours", name: secret.metadata.name, holds: held?.id, isDecorated };
}

/** The parts of an ApiToken beside its spec. */
export function describeResource({ metadata, status }: ApiToken): ObservedResource {
  return {
    uid: metadata.uid,
    generation: metadata.generation ?? 0,
    isDeleting: metadata.deletionTimestamp !== undefined,
    hasFinalizer: metadata.finalizers?.includes(FINALIZER) ?? false,
    status: status ?? {},
  };
}
