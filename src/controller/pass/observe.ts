/*
 * Turns the objects around one ApiToken into facts. Three places can disagree about which token is the right one: the
 * rows decide what is live, the Secrets what somebody can use, the status what was published. No place alone is enough,
 * as these scenes show (r1 and r2 are the rows of revisions 1 and 2; an arrow reads "holds").
 *
 * A quiet day. r1 is `held`: live, and in the Secret that the spec names.
 *
 *     rows: r1 live              Secret a → r1               status: r1
 *
 * A rotation. r2 was just written to the Secret; consumers may still have r1 in memory. r2 is `held`, and r1 is the
 * `previous` token, which keeps working until its overlap ends.
 *
 *     rows: r1 live, r2 live     Secret a → r2               status: r2, previous r1
 *
 * A crash between row and Secret. Neither a Secret nor the status shows r2, so nobody can have its plaintext, which is
 * lost. The row of r2 is reused for a new token; r1 keeps working meanwhile.
 *
 *     rows: r1 live, r2 live     Secret a → r1               status: r1
 *
 * Somebody put an old Secret back. r2 was published and may be in use, but no Secret holds its plaintext any more: a next
 * token is issued, as after any other change of the Secret, and r2 has its overlap.
 *
 *     rows: r1 live, r2 live     Secret a → r1               status: r2
 *
 * A new name. The spec now names Secret b. Secret a is a `stray`: ours by its owner reference, but no longer asked for.
 * The token is written to b first, and only then is a deleted.
 *
 *     rows: r1 live              Secret a → r1, b absent     status: r1
 *
 * Somebody else's Secret. It has another owner, or neither an owner nor our annotation, so it is `foreign` and never
 * written to, even if somebody has copied the token to it. Which token a Secret holds is found by hash, not by an annotation, because anybody can edit an annotation.
 *
 *     rows: r1 live              Secret a → something else   status: r1
 */

import { type ApiToken, parseSpec } from "../../kube/resources/api-token.ts";
import { getApiToken } from "../../kube/resources/api-token-api.ts";
import { FINALIZER, MANAGED_LABEL, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import { abridgeSecret, reduceSecret, type SecretView } from "../../kube/resources/secret.ts";
import { getSecret } from "../../kube/resources/secret-api.ts";
import { findResourceTokens, type OwnerClaim, type TokenRecord } from "../../postgres/tokens.ts";
import { type Decoration, TOKEN_ID_ANNOTATION, wantDecoration } from "../../token/decoration.ts";
import { refuseDeniedKeys } from "../../token/denied-keys.ts";
import { currentKey, nextActivation } from "../../token/keyring.ts";
import { decryptMetadata } from "../../token/metadata-cipher.ts";
import type {
  ApiTokenStatus,
  DesiredToken,
  Observed,
  ObservedResource,
  ParsedSpec,
  PolicyVerdict,
  TokenRow,
} from "../../token/model.ts";
import { keyOf, ownerKeyOf, SECRETS_BY_OWNER } from "./caches.ts";
import type { ReadContext } from "./context.ts";
import { observePolicy } from "./observe-policy.ts";
import { describeSecret, findHeldToken } from "./observe-secret.ts";

/** A stored row, with its metadata decrypted. */
export type SeenToken = TokenRecord & TokenRow;

/**
 * What was read at one moment: the objects themselves, so that `execute` writes to exactly the versions that the
 * decision is about. `observed` has the facts that were derived from them. `plan` decides on these alone, without
 * Kubernetes objects or hashes, so that decisions can be tested without a cluster.
 */
export interface Snapshot {
  readonly spec: ParsedSpec;
  readonly observed: Observed;
  readonly policy: PolicyVerdict;
  readonly tokens: readonly SeenToken[];
  readonly resource: ApiToken | undefined;
  /** The Secret of the wanted name, if it is ours. */
  readonly secret: SecretView | undefined;
  readonly strays: readonly SecretView[];
  readonly wantedDecoration: Decoration | undefined;
  /** The tokens that their holders have ended through a verifier, and that are to be revoked before anything is decided. */
  readonly requestedEnds: readonly string[];
}

/**
 * Reads everything that concerns one ApiToken, once: from the caches or, with "server", consistently from the API server.
 * The rows always come from the database. `key` is "namespace/name". Throws the errors of the database and the API
 * server.
 */
export async function observe(context: ReadContext, key: string, source: "cache" | "server"): Promise<Snapshot> {
  const [namespace = "", name = ""] = key.split("/");
  const resource =
    source === "server" ? await readApiToken(context, namespace, name) : context.caches.apiTokens.get(key);
  const spec: ParsedSpec =
    resource === undefined
      ? { problem: "there is no such ApiToken" }
      : refuseDeniedKeys(parseSpec(resource), context.deniedKeys);
  const { desired } = spec;
  const grantee = desired ?? spec.remainder?.grantee;
  const { named, strays } = await findSecrets(context, resource, desired?.secret.name, source);
  const policy: PolicyVerdict = grantee
    ? await observePolicy(context, namespace, grantee, source)
    : { kind: "missing" };
  const claim = resource && desired && describeClaim(resource, desired, policy);
  const found = await findResourceTokens(context.db, context.clusterId, { namespace, name }, claim);
  const { now, block, rivals } = found;
  const tokens = found.tokens.map((token) => understand(token, context, now));

  const holds = named && (await findHeldToken(context, named, tokens));
  const straySecrets = strays.map(async (stray) => ({
    name: stray.metadata.name,
    holds: (await findHeldToken(context, stray, tokens))?.id,
  }));
  const secret = named !== undefined && isOurs(named, resource, holds) ? named : undefined;
  const wantedDecoration = desired && secret && holds && wantDecoration(desired, MANAGED_LABEL, holds);
  return {
    spec,
    resource,
    policy,
    tokens,
    secret,
    strays,
    wantedDecoration,
    requestedEnds: found.requestedEnds,
    observed: {
      now,
      tokens,
      block,
      rivals,
      resource: resource && describeResource(resource),
      secret:
        named === undefined
          ? { state: "absent" }
          : await describeSecret(context, secret, holds, desired, wantedDecoration),
      straySecrets: await Promise.all(straySecrets),
      isNamespaceTerminating: context.caches.namespaces.get(namespace)?.isTerminating === true,
      encryptionChangesAt: nextActivation(context.keyring.encryption, now),
    },
  };
}

function describeClaim({ metadata }: ApiToken, { owner }: DesiredToken, policy: PolicyVerdict): OwnerClaim {
  return {
    resourceUid: metadata.uid,
    createdAt: new Date(metadata.creationTimestamp ?? 0),
    owner,
    limit: policy.applied?.owner,
  };
}

/**
 * Ours by its owner reference or, if somebody has removed the reference, by the token that it holds together with our
 * annotation. A token alone is not enough: a Secret that somebody else has copied the token to must not be overwritten.
 */
function isOurs(named: SecretView, resource: ApiToken | undefined, holds: TokenRecord | undefined): boolean {
  const uid = resource?.metadata.uid;
  if (named.owner !== undefined) return named.owner.uid === uid;
  return holds !== undefined && holds.resourceUid === uid && TOKEN_ID_ANNOTATION in named.metadata.annotations;
}

async function readApiToken({ transport, caches }: ReadContext, namespace: string, name: string) {
  const resource = await getApiToken(transport, namespace, name);
  if (resource === undefined) caches.apiTokens.remove(keyOf({ namespace, name }));
  else caches.apiTokens.upsert(resource);
  return resource;
}

/** The Secret of the wanted name, regardless of its owner, and all other Secrets that this ApiToken owns. */
async function findSecrets(
  context: ReadContext,
  resource: ApiToken | undefined,
  wantedName: string | undefined,
  source: "cache" | "server",
): Promise<{ named: SecretView | undefined; strays: SecretView[] }> {
  if (resource === undefined) return { named: undefined, strays: [] };
  const { namespace, uid } = resource.metadata;
  const { secrets } = context.caches;
  const owned = secrets.byIndex(SECRETS_BY_OWNER, ownerKeyOf(namespace, uid));
  const read = (name: string) => {
    const cached = source === "server" ? undefined : secrets.get(keyOf({ namespace, name }));
    return source === "server" || cached?.isAbridged ? readSecret(context, namespace, name) : cached;
  };

  const named = wantedName === undefined ? undefined : await read(wantedName);
  const strays: SecretView[] = [];
  for (const { metadata } of owned) {
    const stray = metadata.name === wantedName ? undefined : await read(metadata.name);
    if (stray?.owner?.uid === uid) strays.push(stray);
  }
  return { named, strays };
}

async function readSecret(
  { transport, caches, keyring }: ReadContext,
  namespace: string,
  name: string,
): Promise<SecretView | undefined> {
  const secret = await getSecret(transport, namespace, name);
  const view = secret && reduceSecret(secret, keyring);
  if (view === undefined) caches.secrets.remove(keyOf({ namespace, name }));
  else if (view.metadata.labels[MANAGED_LABEL] === "true") caches.secrets.upsert(abridgeSecret(view));
  return view;
}

/** The facts about an ApiToken apart from its spec. */
export function describeResource({ metadata, status }: ApiToken): ObservedResource {
  return {
    uid: metadata.uid,
    generation: metadata.generation ?? 0,
    createdAt: new Date(metadata.creationTimestamp ?? 0),
    rotateRequestedAt: metadata.annotations?.[ROTATE_ANNOTATION],
    isDeleting: metadata.deletionTimestamp !== undefined,
    hasFinalizer: metadata.finalizers?.includes(FINALIZER) ?? false,
    status: trustStatus(status ?? {}, metadata.creationTimestamp),
  };
}

const HIGHEST_REVISION = 2 ** 31 - 2;

/** A status can be edited by hand, so values that cannot be true are ignored. */
function trustStatus({ revision, issuedAt, ...status }: ApiTokenStatus, createdAt = ""): ApiTokenStatus {
  const isRevision =
    revision !== undefined && Number.isInteger(revision) && revision > 0 && revision <= HIGHEST_REVISION;
  const isIssue = issuedAt !== undefined && Date.parse(issuedAt) >= Date.parse(createdAt);
  return { ...status, ...(isRevision ? { revision } : {}), ...(isIssue ? { issuedAt } : {}) };
}

function understand(token: TokenRecord, { keyring }: ReadContext, now: Date): SeenToken {
  const { id, encryptedMetadata } = token;
  const metadata = decryptMetadata(encryptedMetadata, id, keyring);
  const isMetadataStale =
    encryptedMetadata !== undefined && encryptedMetadata.keyId !== currentKey(keyring.encryption, now).id;
  return { ...token, metadata, isMetadataStale };
}
