/*
 * Short sequences of actions that several rules share.
 */
import type { Observed, ObservedResource, TokenRow } from "../model.ts";
import type { Action, RevocationReason } from "./action.ts";
import type { Situation } from "./situation.ts";

/** Without the finalizer a deletion could go unnoticed, and the token would outlive its ApiToken. */
export function ensureFinalizer(resource: ObservedResource): Action[] {
  return resource.hasFinalizer ? [] : [{ kind: "addFinalizer" }];
}

/** Revokes tokens at once, or at `at`. */
export function revoke(
  tokens: readonly TokenRow[],
  reason: RevocationReason,
  { note, at }: { note?: string; at?: Date } = {},
): Action[] {
  if (tokens.length === 0) return [];
  const tokenIds = tokens.map((token) => token.id);
  return [{ kind: "revokeTokens", tokenIds, reason, ...(note ? { note } : {}), ...(at ? { at } : {}) }];
}

/** Ends others' tokens for these, which are in a Secret: whatever else waits, an owner's limit must not be passed meanwhile. */
export function takeOver({ applied }: Pick<Situation, "applied">, inSecrets: readonly TokenRow[]): Action[] {
  if (applied === undefined) return [];
  return inSecrets.filter((token) => token.supersedes).map(({ id }) => ({ kind: "takeOver", tokenId: id }));
}

/** Deletes every Secret of ours, under the wanted name and under outdated ones. */
export function deleteSecrets(observed: Observed): Action[] {
  const { secret } = observed;
  return [
    ...(secret.state === "ours" ? [{ kind: "deleteSecret", name: secret.name } as const] : []),
    ...deleteStrays(observed),
  ];
}

/** Deletes the Secrets under names that the spec no longer asks for. */
export function deleteStrays({ straySecrets }: Observed): Action[] {
  return straySecrets.map(({ name }) => ({ kind: "deleteSecret", name }));
}
