import type { AppliedPolicy, DesiredToken, Observed, ObservedResource, PolicyVerdict, TokenRow } from "../model.ts";
import type { Reason } from "../reasons.ts";
import { findCondition } from "../status.ts";
import { isLive } from "../validity.ts";

/** An ApiToken that exists, and whose spec can be read, as the rules look at it. */
export interface Situation {
  readonly desired: DesiredToken;
  readonly observed: Observed & { readonly resource: ObservedResource };
  readonly policy: PolicyVerdict;
  /** What the policy that allows it sets; undefined where none does. */
  readonly applied: AppliedPolicy | undefined;
  /** Rows of this very resource that are live, oldest first. */
  readonly live: readonly TokenRow[];
  /** Its row of the highest revision, dead or live. */
  readonly newest: TokenRow | undefined;
  /** The live row that the wanted Secret holds. */
  readonly held: TokenRow | undefined;
}

/** Sorts out what was observed of a resource. */
export function describeSituation(
  desired: DesiredToken,
  observed: Situation["observed"],
  policy: PolicyVerdict,
): Situation {
  const own = observed.tokens.filter((token) => token.resourceUid === observed.resource.uid);
  const live = own.filter((token) => isLive(token, observed.now));
  return {
    desired,
    observed,
    policy,
    applied: policy.applied,
    live,
    newest: own.at(-1),
    held: findHeld(observed, live),
  };
}

/** The live row that the Secret of the wanted name holds, if it is ours. */
export function findHeld({ secret }: Observed, live: readonly TokenRow[]): TokenRow | undefined {
  return secret.state === "ours" ? live.find((token) => token.id === secret.holds) : undefined;
}

/** The live row before the one that the Secret holds. */
export function findPrevious(live: readonly TokenRow[], held: TokenRow | undefined): TokenRow | undefined {
  return held && live.filter((token) => token.revision < held.revision).at(-1);
}

/** The Secret under an outdated name that holds the newest live row, if that is newer than what the wanted one holds. */
export function findMovable({ observed, live, held }: Situation): { name: string; token: TokenRow } | undefined {
  const holders = observed.straySecrets.flatMap(({ name, holds }) => {
    const token = live.find(({ id }) => id === holds);
    return token === undefined ? [] : [{ name, token }];
  });
  const best = holders.sort((left, right) => right.token.revision - left.token.revision)[0];
  return best !== undefined && best.token.revision > (held?.revision ?? 0) ? best : undefined;
}

/** The row of the last token; undefined where the status tells of a later one, whose row is gone. */
export function findLast({ newest, observed }: Situation): TokenRow | undefined {
  return newest !== undefined && newest.revision >= (observed.resource.status.revision ?? 0) ? newest : undefined;
}

/** Whether the newest token, or the last that was told of, ended for this reason. So that it stays so: either is enough. */
export function hasEndedFor(reason: Reason, situation: Situation): boolean {
  const { newest, held, observed } = situation;
  const { status } = observed.resource;
  // With a token held the next status tells of that one, whatever later one it tells of now.
  const last = held === undefined ? findLast(situation) : newest;
  if (last !== undefined && !isLive(last, observed.now) && isFor(reason, last)) return true;
  // Not Ready: an outage of the database takes its place.
  return (newest?.revision ?? 0) <= (status.revision ?? 0) && findCondition(status, "Revoked")?.reason === reason;
}

/** A row's reason may be followed by a note, after a colon. */
function isFor(reason: Reason, { revocationReason = "" }: TokenRow): boolean {
  return revocationReason === reason || revocationReason.startsWith(`${reason}: `);
}

/** The rotation that was asked for and not yet made, by the value of its annotation. */
export function findRotationRequest({ observed: { resource, secret } }: Situation): string | undefined {
  const { rotateRequestedAt, status } = resource;
  const handled = secret.state === "ours" ? secret.handledRotateAt : undefined;
  const isHandled = rotateRequestedAt === status.lastHandledRotateAt || rotateRequestedAt === handled;
  return isHandled ? undefined : rotateRequestedAt;
}

/**
 * When the owner was last seen to use a token of this ApiToken, or could first have done so. The status may know of a use
 * that a database from a backup does not.
 */
export function lastActivity({ live, observed: { now, resource } }: Situation): Date {
  const { tokenId, lastUsedAt } = resource.status;
  const toldMs = live.some(({ id }) => id === tokenId) ? Date.parse(lastUsedAt ?? "") : Number.NaN;
  const times = live.flatMap(({ activeSince, lastUsedAt: usedAt }) => [activeSince, ...(usedAt ? [usedAt] : [])]);
  const latestMs = Math.max(...times.map((time) => time.getTime()));
  return new Date(toldMs > latestMs && toldMs <= now.getTime() ? toldMs : latestMs);
}

/** The stricter of what the spec and the policy say; undefined when neither does. */
export function inactivityLimit({ desired, applied }: Situation): number | undefined {
  const set = [desired.inactivityTimeoutMs, applied?.inactivityTimeoutMs].filter((limit) => limit !== undefined);
  return set.length === 0 ? undefined : Math.min(...set);
}

/** Whether the next token comes by itself. */
export function isRotating({ desired, applied }: Situation): boolean {
  return desired.rotation.isAutomatic && desired.lifetime.kind !== "fixed" && applied !== undefined;
}
