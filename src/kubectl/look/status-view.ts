/*
 * What `status NAME` says of an ApiToken: the verdict, the facts, and what to do next. It is decided here, from the resource
 * alone, and printed elsewhere.
 */
import { type ApiTokenView, type ConditionView, conditionOf, isReady, reasonOf } from "../client/api-token.ts";
import { findRemedy } from "../guide/guide.ts";
import type { EventView } from "./events.ts";

export type Verdict = "Ready" | "Waiting" | "NotReady" | "Pending" | "Deleting";

/** The fields of `status NAME -o json`, which docs/kubectl.md describes. */
export interface StatusView {
  readonly namespace: string;
  readonly name: string;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly message: string;
  readonly since: string | undefined;
  /** What to do about the reason; undefined if nothing needs to be done, or this release does not know the reason. */
  readonly remedy: string | undefined;
  readonly owner: string;
  readonly requestedBy: string | undefined;
  readonly description: string | undefined;
  readonly scopes: readonly string[];
  readonly token:
    | Pick<ApiTokenView, "revision" | "issuedAt" | "expiresAt" | "renewAt" | "lastUsedAt" | "duration" | "tokenId">
    | undefined;
  readonly policy: string | undefined;
  readonly secret: { readonly name: string; readonly keys: readonly string[] };
  /** A request for a rotation that has not been answered yet. */
  readonly rotationRequestedAt: string | undefined;
  readonly previous: (NonNullable<ApiTokenView["previous"]> & { readonly isStillUsed: boolean }) | undefined;
  /** The conditions beside Ready. */
  readonly conditions: readonly ConditionView[];
  /** Undefined if the user may not list Events. */
  readonly events: readonly EventView[] | undefined;
  readonly next: readonly string[];
}

/** With these, the Secret holds the token that the spec asks for. With any other reason of Ready, something is waiting. */
const CONVERGED = ["Issued", "Rotated"];

/** What ended a token and allows another on request. */
const ROTATE_HELPS = ["Expired", "Inactive"];

/** What the database or the controller must resolve. */
const CHECK_HELPS = ["DatabaseUnavailable", "DatabaseRefused", "ReconcileFailed", "Renewing", "SecretRefused"];

const POLICY_HELPS = ["PolicyMissing", "PolicyDenied", "OwnerLimitExceeded"];

export function describeStatus(token: ApiTokenView, events: readonly EventView[] | undefined): StatusView {
  const ready = conditionOf(token, "Ready");
  const verdict = judge(token, ready);
  const reason = reasonOf(token);
  const remedy = findRemedy(reason);
  const { namespace, name, owner, requestedBy, description, scopes, policy, previous } = token;
  return {
    namespace,
    name,
    verdict,
    reason,
    message: ready?.message ?? "",
    since: ready?.since,
    remedy: remedy === undefined || remedy.startsWith("None needed") ? undefined : remedy,
    owner,
    requestedBy,
    description,
    scopes,
    token: token.tokenId === undefined ? undefined : pickToken(token),
    policy,
    secret: { name: token.secretName, keys: token.secretKeys },
    rotationRequestedAt: isRotationPending(token) ? token.rotateRequestedAt : undefined,
    previous: previous && { ...previous, isStillUsed: isStillUsed(token) },
    conditions: token.conditions.filter(({ type }) => type !== "Ready"),
    events,
    next: adviseNext(token, verdict, reason),
  };
}

function judge(token: ApiTokenView, ready: ConditionView | undefined): Verdict {
  if (token.isDeleting) return "Deleting";
  if (ready === undefined) return "Pending";
  if (!isReady(token)) return "NotReady";
  return CONVERGED.includes(ready.reason) && token.isObserved && !isRotationPending(token) ? "Ready" : "Waiting";
}

function isRotationPending({ rotateRequestedAt, lastHandledRotateAt }: ApiTokenView): boolean {
  return rotateRequestedAt !== undefined && rotateRequestedAt !== lastHandledRotateAt;
}

/** Whether the previous token has been used after the current one was issued. */
export function isStillUsed({ previous, issuedAt }: Pick<ApiTokenView, "previous" | "issuedAt">): boolean {
  if (previous?.lastUsedAt === undefined || issuedAt === undefined) return false;
  return Date.parse(previous.lastUsedAt) > Date.parse(issuedAt);
}

function pickToken({ tokenId, revision, issuedAt, expiresAt, renewAt, lastUsedAt, duration }: ApiTokenView) {
  return { tokenId, revision, issuedAt, expiresAt, renewAt, lastUsedAt, duration };
}

/** Commands to type, the most useful first. */
function adviseNext(token: ApiTokenView, verdict: Verdict, reason: string): string[] {
  const { namespace, name } = token;
  const command = (verb: string, ...rest: string[]) =>
    ["kubectl apitoken", verb, ...rest, "-n", namespace].filter((word) => word !== "").join(" ");
  switch (verdict) {
    case "Ready":
      return token.previous === undefined
        ? [command("reveal", name), command("rotate", name)]
        : [`${command("status", name)}    # until the previous token is no longer used`];
    case "Waiting":
      return [`kubectl apitoken explain ${reason}`, "kubectl apitoken check"];
    case "Pending":
    case "Deleting":
      return ["kubectl apitoken check controller"];
    case "NotReady":
      return [`kubectl apitoken explain ${reason}`, ...adviseRemedy(token, reason, command)];
  }
}

function adviseRemedy(
  token: ApiTokenView,
  reason: string,
  command: (verb: string, ...rest: string[]) => string,
): string[] {
  if (ROTATE_HELPS.includes(reason)) return [command("rotate", token.name)];
  if (CHECK_HELPS.includes(reason)) return ["kubectl apitoken check"];
  if (POLICY_HELPS.includes(reason)) return [command("can-i", "--owner", token.owner)];
  if (reason === "OwnerBlocked") return [`kubectl apitoken owner ${token.owner}`];
  return [];
}
