import { getApiToken } from "../../kube/resources/api-token-api.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import { getSecret } from "../../kube/resources/secret-api.ts";
import { findRecordedBlocks, findTokenByHash } from "../../postgres/examination.ts";
import { findLiveResources } from "../../postgres/tokens.ts";
import { keyOf } from "../pass/caches.ts";
import type { ReadContext } from "../pass/context.ts";
import { decide } from "../pass/decide.ts";
import type { CrossExamination, ExaminedToken, UnownedSecret } from "./examination.ts";

/**
 * Looks at every ApiToken, and at every name that has live rows, as the controller's next pass would; and at Secrets and
 * blocks that no pass over an ApiToken comes by. `namespaces`: those that are looked at; all, if empty.
 */
export async function crossExamine(
  context: ReadContext,
  namespaces: readonly string[],
  onProgress: (done: number, all: number) => void,
  concurrency: number,
): Promise<CrossExamination> {
  const { caches, db, clusterId } = context;
  const live = (await findLiveResources(db, clusterId)).filter(
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
  // The lists may be behind the rows by now, and have no Secrets without our label.
  const { observation, plan } = await decide(context, key, (actions) => actions.length > 0);
  const { resource, secret, strays } = observation;
  for (const view of [secret, ...strays]) if (view !== undefined) claimed.add(keyOf(view.metadata));
  return {
    key,
    exists: resource !== undefined,
    actions: plan.actions,
    status: resource?.status ?? {},
    nextStatus: plan.status,
  };
}

/** Undefined for a Secret whose ApiToken is there, or that is gone by now: read live, for the lists may be behind. */
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
