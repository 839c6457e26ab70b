/*
 * Once the operator is gone, nobody removes its finalizer: every ApiToken, and the namespace around it, would be stuck
 * while being deleted. So the operator has to release all ApiTokens before it goes.
 */
import { isCode, undefinedIfMissing } from "../../kube/api-error.ts";
import type { LeaseTerm } from "../../kube/lease.ts";
import { listAll } from "../../kube/list.ts";
import { API_TOKEN_FIELDS, type ApiToken, reduceApiToken } from "../../kube/resources/api-token.ts";
import { apiTokensPath, getApiToken, removeFinalizer } from "../../kube/resources/api-token-api.ts";
import { FINALIZER, MANAGED_LABEL } from "../../kube/resources/group.ts";
import { findClusterId } from "../../kube/resources/namespace.ts";
import { CACHED_SECRET_FIELDS, reduceForCache } from "../../kube/resources/secret.ts";
import { secretsPath } from "../../kube/resources/secret-api.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Database } from "../../postgres/database.ts";
import { revokeAllTokens } from "../../postgres/revoke-all.ts";
import type { TokenHasher } from "../../runtime/token-hash.ts";
import { loadKeyring } from "../keyring/secret.ts";
import { type ErrandOptions, runErrand } from "../leader/errand.ts";
import { createTerm } from "../leader/term.ts";
import { createCaches, keyOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { reconcile } from "../pass/reconcile.ts";

export interface UninstallReport {
  /** From how many ApiTokens our finalizer was removed. */
  readonly released: number;
  /** How many ApiTokens that were already being deleted are gone, along with their tokens and Secrets. */
  readonly deleted: number;
  /** How many tokens were revoked; undefined unless `mustRevoke` was set. */
  readonly revoked: number | undefined;
  /** ApiTokens that still have the finalizer, and why. */
  readonly failed: readonly { readonly key: string; readonly reason: string }[];
}

export interface UninstallOptions extends ErrandOptions {
  readonly db: Database;
  readonly hasher: TokenHasher;
  readonly mustRevoke: boolean;
}

/** The revocation reason in the rows of these tokens. */
export const UNINSTALLED = "Uninstalled";

/**
 * Releases every ApiToken. Those that are already being deleted get a normal last pass, which revokes their tokens.
 * Holds the Lease meanwhile, because a leading controller would add the finalizer again; throws a LeaseTakenError, with
 * nothing done, if one leads.
 */
export async function uninstall(options: UninstallOptions): Promise<UninstallReport> {
  return runErrand(options, (term) => releaseAll(options, term));
}

async function releaseAll(options: UninstallOptions, term: LeaseTerm): Promise<UninstallReport> {
  const { config, transport, mustRevoke } = options;
  const namespaces = config.watchedNamespaces;
  const held = (await listApiTokens(transport, namespaces)).filter(({ metadata }) =>
    metadata.finalizers?.includes(FINALIZER),
  );
  const isDeleting = ({ metadata }: ApiToken) => metadata.deletionTimestamp !== undefined;
  const leaving = held.filter(isDeleting);
  const context = mustRevoke || leaving.length > 0 ? await prepare(options, term, leaving) : undefined;
  const revoked =
    mustRevoke && context
      ? await revokeAllTokens(options.db, await context.getFence(), namespaces, UNINSTALLED)
      : undefined;

  const failed: { key: string; reason: string }[] = [];
  const attempt = async (resources: readonly ApiToken[], work: (resource: ApiToken) => Promise<unknown>) => {
    const queue = resources.values();
    const worker = async () => {
      for (const resource of queue) {
        const tried = await work(resource).then(
          () => undefined,
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        );
        if (tried !== undefined) failed.push({ key: keyOf(resource.metadata), reason: tried });
      }
    };
    const failedBefore = failed.length;
    await Promise.all(Array.from({ length: config.concurrency }, worker));
    return resources.length - (failed.length - failedBefore);
  };
  const deleted = await attempt(leaving, ({ metadata }) => reconcile(context as PassContext, keyOf(metadata)));
  const guarded = context?.transport ?? transport;
  const released = await attempt(
    held.filter((resource) => !isDeleting(resource)),
    (resource) => release(guarded, resource),
  );
  await context?.events.flush();
  return { released, deleted, revoked, failed };
}

/** Creates what revoking needs. If nothing is to be revoked it is not called, so uninstalling needs no database. */
async function prepare(options: UninstallOptions, term: LeaseTerm, leaving: readonly ApiToken[]): Promise<PassContext> {
  const { config, transport } = options;
  const keyring = await loadKeyring(transport, config.keyringPlace, () => Promise.resolve(true));
  const caches = createCaches();
  for (const resource of leaving) caches.apiTokens.upsert(resource);
  for (const namespace of new Set(leaving.map(({ metadata }) => metadata.namespace))) {
    const secrets = await listAll(transport, secretsPath(namespace), {
      fields: CACHED_SECRET_FIELDS,
      readItem: (raw) => reduceForCache(raw, keyring),
      labelSelector: `${MANAGED_LABEL}=true`,
    });
    for (const secret of secrets) caches.secrets.upsert(secret);
  }
  const clusterId = await findClusterId(transport);
  return createTerm({ ...options, caches, keyring, clusterId, onFatal: () => {} }, term).context;
}

async function listApiTokens(transport: KubeTransport, namespaces: readonly string[]): Promise<ApiToken[]> {
  const places = namespaces.length > 0 ? namespaces : [undefined];
  // Without the CRD there are no ApiTokens.
  const options = { fields: API_TOKEN_FIELDS, readItem: reduceApiToken };
  const lists = await Promise.all(
    places.map((namespace) => listAll(transport, apiTokensPath(namespace), options).catch(undefinedIfMissing)),
  );
  return lists.flatMap((list) => list ?? []);
}

/** Removes our finalizer, even if somebody has changed the ApiToken meanwhile or it is gone. */
async function release(transport: KubeTransport, seen: ApiToken): Promise<void> {
  let resource: ApiToken | undefined = seen;
  while (resource?.metadata.finalizers?.includes(FINALIZER)) {
    try {
      await removeFinalizer(transport, resource);
      return;
    } catch (error) {
      if (!isCode(error, 404, 409)) throw error;
      resource = await getApiToken(transport, seen.metadata.namespace, seen.metadata.name);
    }
  }
}
