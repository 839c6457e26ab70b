/*
 * A policy limits how many ApiTokens an owner may have, and other namespaces may have policies with other limits. So a new
 * token in one namespace can put an ApiToken over the limit of its own namespace's policy, where nothing has changed.
 */
import { type ApiToken, readRemainder } from "../../kube/resources/api-token.ts";
import { isReady } from "../../token/status.ts";
import { APITOKENS_BY_OWNER, type Caches, keyOf } from "../pass/caches.ts";
import { judgeFromCache, readPolicy } from "../pass/observe-policy.ts";

/**
 * The keys of the owner's ApiTokens that are Ready although their own policy allows fewer. By the caches alone, so it is
 * cheap and may be wrong; whatever it finds gets a pass, which counts in the database.
 */
export function findOverLimit(caches: Caches, owner: string): string[] {
  const ready = caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner).filter(({ status }) => isReady(status));
  if (ready.length <= findLeastLimit(caches)) return [];
  ready.sort(byAge);
  return ready
    .filter((resource, older) => isOver(caches, resource, older, ready.length - older - 1))
    .map(({ metadata }) => keyOf(metadata));
}

/** No policy allows fewer than this, so that owners with few ApiTokens need no closer look. */
function findLeastLimit({ policies }: Caches): number {
  const limits = [...policies.values()].map((resource) => readPolicy(resource).policy?.owner?.max ?? 0);
  return Math.min(...limits);
}

/** The oldest first, in the order of the database. */
function byAge({ metadata: left }: ApiToken, { metadata: right }: ApiToken): number {
  const ages = Date.parse(left.creationTimestamp ?? "") - Date.parse(right.creationTimestamp ?? "");
  return ages || (left.uid < right.uid ? -1 : 1);
}

function isOver(caches: Caches, resource: ApiToken, older: number, newer: number): boolean {
  const { grantee } = readRemainder(resource.spec);
  const limit = grantee && judgeFromCache(caches, resource.metadata.namespace, grantee)?.applied?.owner;
  if (limit === undefined) return false;
  return (limit.onLimit === "Reject" ? older : newer) >= limit.max;
}
