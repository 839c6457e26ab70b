/*
 * Which keys of the queue go to the lane of ends. A glance at the caches is enough for that: if it is wrong, an ApiToken
 * only waits in the other lane, and the pass decides with care in either.
 */
import { type ApiToken, readRemainder } from "../../kube/resources/api-token.ts";
import { FINALIZER } from "../../kube/resources/group.ts";
import { type OwnerBlock, parseOwnerBlock } from "../../kube/resources/owner-block.ts";
import { findCondition } from "../../token/status.ts";
import { BLOCKS_BY_OWNER, type Caches } from "../pass/caches.ts";
import { judgeFromCache } from "../pass/observe-policy.ts";

/**
 * Whether the next pass over an ApiToken is likely to end its tokens: it is deleted or revoked, its owner is blocked, or a
 * policy denies it. One whose end is already in its status is not in a hurry.
 */
export function isEnd(caches: Caches, key: string, now = Date.now()): boolean {
  const resource = caches.apiTokens.get(key);
  if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) return true;
  if (!mayHaveToken(resource) || findCondition(resource.status ?? {}, "Revoked") !== undefined) return false;
  const { isRevoked, grantee } = readRemainder(resource.spec);
  return (
    isRevoked ||
    (grantee !== undefined &&
      (isBlocked(caches, grantee.owner, now) ||
        judgeFromCache(caches, resource.metadata.namespace, grantee)?.kind === "denied"))
  );
}

/** Nothing is issued before our finalizer is in place, and somebody may have removed it since. */
function mayHaveToken({ metadata, status }: ApiToken): boolean {
  return metadata.finalizers?.includes(FINALIZER) === true || status?.tokenId !== undefined;
}

function isBlocked({ ownerBlocks }: Caches, owner: string, now: number): boolean {
  const isEffective = (block: OwnerBlock) => (parseOwnerBlock(block).desired?.effectiveAt.getTime() ?? now + 1) <= now;
  return ownerBlocks.byIndex(BLOCKS_BY_OWNER, owner).some(isEffective);
}
