/*
 * Short sequences of actions that several rules share.
 */
import type { Observed, ObservedResource, TokenRow } from "../model.ts";
import type { Action, RevocationReason } from "./action.ts";

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
