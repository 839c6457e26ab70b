/*
 * Whether cluster and database agree about a token is a question that only a pass can answer. So the doctor lets every
 * ApiToken go through the reading half of a pass, and adds what no pass ever meets: Secrets and blocks without an
 * owner.
 */
import { getApiToken } from "../../kube/resources/api-token-api.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import { getSecret } from "../../kube/resources/secret-api.ts";
import { findRecordedBlocks, findTokenByHash } from "../../postgres/examination.ts";
import { findAcceptedResources } from "../../postgres/tokens.ts";
import { keyOf } from "../pass/caches.ts";
import type { ReadContext } from "../pass/context.ts";
import { decide } from "../pass/decide.ts";
import type { CrossExamination, ExaminedToken, UnownedSecret } from "./examination.ts";

/**
 * Examines every ApiToken, and every name that has live rows, as the controller's next pass would; then the Secrets and
 * blocks that no pass over an ApiToken comes across. `namespaces` limits what is examined; if empty, all are. Throws
 * the errors of the API server and the database.
 */
export async function crossExamine(
  context: ReadContext,
  namespaces: readonly string[],
  onProgress: (done: number, all: number) => void,
  concurrency: number,
): Promise<CrossExamination> {
  const { caches, db, clusterId } = context;
  const live = (await findAcceptedResources(db, clusterId)).filter(
    ({ namespace }) => namespaces.length === 0 || namespaces.includes(namespace),
  );
  const keys = new Set([...[...caches.apiTokens.values()].map(({ metadata }) => keyOf(metadata)), ...live.map(keyOf)]);
  const claimed = new Set<string>();
  const tokens: ExaminedToken[] = [];
  await forEachAtOnce([...keys].sort(), concurrency, async (key) => {
    tokens.push(await examineToken(context, key, claimed));
    onProgress(tokens.length, keys.size);
  });
  tokens.sort((left, right) => (left.key < right.key ? -1 : 1));

  const unownedSecrets: UnownedSecret[] = [];
  await forEachAtOnce([...caches.secrets.values()], concurrency, async (secret) => {
    const unowned = claimed.has(keyOf(secret.metadata)) ? undefined : await examineSecret(context, secret);
    if (unowned !== undefined) unownedSecrets.push(unowned);
  });
  const rows = await findRecordedBlocks(db, clusterId);
  return { tokens, unownedSecrets, blocks: { resources: [...caches.ownerBlocks.values()], rows } };
}

async function examineToken(context: ReadContext, key: string, claimed: Set<string>): Promise<ExaminedToken> {
  // Confirmed live: the lists may be older than the rows, and lack Secrets from which our label was removed.
  const { snapshot, plan } = await decide(context, key, (actions) => actions.length > 0);
  const { resource, secret, strays } = snapshot;
  for (const view of [secret, ...strays]) if (view !== undefined) claimed.add(keyOf(view.metadata));
  return {
    key,
    exists: resource !== undefined,
    actions: plan.actions,
    status: resource?.status ?? {},
    nextStatus: plan.status,
  };
}

/** Undefined if the Secret's ApiToken exists or the Secret is gone by now. Reads live, as the lists may be outdated. */
async function examineSecret(context: ReadContext, { metadata, owner, fingerprints }: SecretView) {
  const { transport, db, clusterId } = context;
  const { namespace, name, uid } = metadata;
  const isOurs = owner?.kind === "ApiToken" && owner.apiVersion === API_VERSION;
  if (isOurs && (await getApiToken(transport, namespace, owner.name))?.metadata.uid === owner.uid) return undefined;
  if ((await getSecret(transport, namespace, name))?.metadata.uid !== uid) return undefined;
  const hashes = Object.values(fingerprints)
    .flatMap((byPepper) => Object.values(byPepper))
    .map((fingerprint) => Buffer.from(fingerprint, "base64"));
  return {
    key: keyOf(metadata),
    formerOwner: isOurs ? owner.name : undefined,
    holds: await findTokenByHash(db, clusterId, hashes),
  };
}

async function forEachAtOnce<T>(items: readonly T[], concurrency: number, handle: (item: T) => Promise<void>) {
  const queue = items.values();
  const work = async () => {
    for (const item of queue) await handle(item);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}
