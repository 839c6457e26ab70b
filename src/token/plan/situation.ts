/*
 * What the rules know: the facts that several of them need, derived once from what was observed.
 */
import type { AppliedPolicy, DesiredToken, Observed, ObservedResource, PolicyVerdict, TokenRow } from "../model.ts";
import type { Reason } from "../reasons.ts";
import { findCondition } from "../status.ts";
import { isAccepted, isLive } from "../validity.ts";

/** An ApiToken that exists and whose spec can be read, with the facts that the rules look at. */
export interface Situation {
  readonly desired: DesiredToken;
  readonly observed: Observed & { readonly resource: ObservedResource };
  readonly policy: PolicyVerdict;
  /** The settings of the policy that allows it; undefined if none does. */
  readonly applied: AppliedPolicy | undefined;
  /** The live rows of this resource, oldest first; not those of an earlier resource of the same name. */
  readonly live: readonly TokenRow[];
  /** The live rows and those in grace: what must be ended for the ApiToken to be without a working token. */
  readonly accepted: readonly TokenRow[];
  /** Its row with the highest revision, dead or live. */
  readonly newest: TokenRow | undefined;
  /** The live row that the wanted Secret holds. */
  readonly held: TokenRow | undefined;
}

/** Derives the facts that the rules need from what was observed. */
export function describeSituation(
  desired: DesiredToken,
  observed: Situation["observed"],
  policy: PolicyVerdict,
): Situation {
  const own = observed.tokens.filter((token) => token.resourceUid === observed.resource.uid);
  const live = own.filter((token) => isLive(token, observed.now));
  const accepted = own.filter((token) => isAccepted(token, observed.now));
  return {
    desired,
    observed,
    policy,
    applied: policy.applied,
    live,
    accepted,
    newest: own.at(-1),
    held: findHeld(observed, live),
  };
}

/** The live row that the wanted Secret holds, if the Secret is ours. */
export function findHeld({ secret }: Observed, live: readonly TokenRow[]): TokenRow | undefined {
  return secret.state === "ours" ? live.find((token) => token.id === secret.holds) : undefined;
}

/** The accepted row before the one that the Secret holds. */
export function findPrevious(accepted: readonly TokenRow[], held: TokenRow | undefined): TokenRow | undefined {
  return held && accepted.filter((token) => token.revision < held.revision).at(-1);
}

/** Whether a later token than the one in the Secret is live: somebody has put an old Secret back, or a crash came in between. */
export function isOutdated({ live }: Situation, held: TokenRow): boolean {
  return live.some((token) => token.revision > held.revision);
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

/** The row of the last token; undefined if the status reports a later token, whose row is gone. */
export function findLast({ newest, observed }: Pick<Situation, "newest" | "observed">): TokenRow | undefined {
  return newest !== undefined && newest.revision >= (observed.resource.status.revision ?? 0) ? newest : undefined;
}

/** Whether the newest token, or the last one in the status, ended for this reason. Either is enough, so that it lasts. */
export function hasEndedFor(reason: Reason, situation: Pick<Situation, "newest" | "held" | "observed">): boolean {
  const { newest, held, observed } = situation;
  const { status } = observed.resource;
  // If a token is held, the next status reports that one, even if the status now reports a later one.
  const last = held === undefined ? findLast(situation) : newest;
  if (last !== undefined && !isLive(last, observed.now) && isFor(reason, last)) return true;
  // Not the condition Ready: during an outage of the database it has another reason.
  return (newest?.revision ?? 0) <= (status.revision ?? 0) && findCondition(status, "Revoked")?.reason === reason;
}

/** A row's reason may be followed by a note, after a colon. */
function isFor(reason: Reason, { revocationReason = "" }: TokenRow): boolean {
  return revocationReason === reason || revocationReason.startsWith(`${reason}: `);
}

/** The rotation request that has not been handled yet, by the value of its annotation. */
export function findRotationRequest({ observed: { resource, secret } }: Situation): string | undefined {
  const { rotateRequestedAt, status } = resource;
  const handled = secret.state === "ours" ? secret.handledRotateAt : undefined;
  const isHandled = rotateRequestedAt === status.lastHandledRotateAt || rotateRequestedAt === handled;
  return isHandled ? undefined : rotateRequestedAt;
}

/** When a request that has come too soon is carried out; undefined if none waits. The first request never waits. */
export function postponedUntil(situation: Situation, held: TokenRow): Date | undefined {
  const { applied, observed } = situation;
  const { resource, secret, now } = observed;
  const isFirst =
    resource.status.lastHandledRotateAt === undefined &&
    (secret.state !== "ours" || secret.handledRotateAt === undefined);
  if (isFirst || applied === undefined || findRotationRequest(situation) === undefined) return undefined;
  const at = new Date(held.issuedAt.getTime() + applied.minRequestIntervalMs);
  return at > now ? at : undefined;
}

/**
 * When a token of this ApiToken was last used, or could first have been used. The status may know of a use that a database
 * restored from a backup does not.
 */
export function lastActivity({ live, observed: { now, resource } }: Situation): Date {
  const { tokenId, lastUsedAt } = resource.status;
  const reportedMs = live.some(({ id }) => id === tokenId) ? Date.parse(lastUsedAt ?? "") : Number.NaN;
  const times = live.flatMap(({ activeSince, lastUsedAt: usedAt }) => [activeSince, ...(usedAt ? [usedAt] : [])]);
  const latestMs = Math.max(...times.map((time) => time.getTime()));
  return new Date(reportedMs > latestMs && reportedMs <= now.getTime() ? reportedMs : latestMs);
}

/** The shorter of the timeouts of spec and policy; undefined if neither sets one. */
export function inactivityLimit({ desired, applied }: Situation): number | undefined {
  const set = [desired.inactivityTimeoutMs, applied?.inactivityTimeoutMs].filter((limit) => limit !== undefined);
  return set.length === 0 ? undefined : Math.min(...set);
}

/** Whether the next token is issued automatically. */
export function isRotating({ desired, applied }: Situation): boolean {
  return desired.rotation.isAutomatic && desired.lifetime.kind !== "fixed" && applied !== undefined;
}
