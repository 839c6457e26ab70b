/*
 * Everything that is written to an ApiToken's status, after a pass that succeeded, after one that failed, and if no pass gets
 * that far.
 */
import { isDeepStrictEqual } from "node:util";
import { type ApiToken, parseSpec } from "../../kube/resources/api-token.ts";
import { writeStatus } from "../../kube/resources/api-token-api.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import { getSecret } from "../../kube/resources/secret-api.ts";
import { stripControls } from "../../runtime/text.ts";
import { type Failure, statusOfExpiry, statusOfFailure } from "../../token/failure.ts";
import type { ApiTokenStatus, Observed, TokenRow } from "../../token/model.ts";
import { describeChange, type Note } from "../../token/notes.ts";
import type { Plan } from "../../token/plan/action.ts";
import { findHeld } from "../../token/plan/situation.ts";
import { isLive } from "../../token/validity.ts";
import type { PassContext } from "./context.ts";
import { describeFailure, isSecretConflict } from "./failures.ts";
import { describeResource, type Snapshot } from "./observe.ts";

/** What the last look of a pass saw, and what it then tried to do. */
export interface LastLook {
  readonly snapshot: Snapshot;
  readonly plan: Plan;
}

/** Writes the status if it differs, and records Events for the changes. Returns whether it was written. */
export async function report(
  context: PassContext,
  resource: ApiToken,
  status: ApiTokenStatus | undefined,
  notes: readonly Note[] = [],
): Promise<boolean> {
  const before = resource.status ?? {};
  if (status === undefined || isDeepStrictEqual(before, status)) return false;
  context.caches.apiTokens.upsert(await writeStatus(context.transport, resource, status));
  const { namespace, name, uid } = resource.metadata;
  const subject = { apiVersion: API_VERSION, kind: "ApiToken", namespace, name, uid };
  for (const note of [...notes, ...describeChange(before, status)]) context.events.record(subject, note);
  return true;
}

/** Reports on the resource why nothing happens. If that fails too, it is ignored: the key is retried in any case. */
export async function reportFailure(
  context: PassContext,
  key: string,
  error: unknown,
  failures: number,
  last: LastLook | undefined,
): Promise<void> {
  const described = describeFailure(error, failures);
  const resource = context.caches.apiTokens.get(key);
  if (described === undefined || resource === undefined) return;
  const failure = isSecretConflict(error) ? await explainConflict(context, resource, described) : described;
  const now = context.clock.now();
  const seen = last && { held: isEnding(last) ? undefined : findLiveHeld(last.snapshot.observed, now) };
  const status = statusOfFailure(describeResource(resource), failure, { failures, seen, now });
  await report(context, resource, status).catch(() => false);
}

/** Reports that the token has expired, whatever keeps the passes from it. Throws if the status cannot be written. */
export async function reportExpiry(
  context: PassContext,
  resource: ApiToken,
  failure: Failure | undefined,
): Promise<boolean> {
  return report(context, resource, statusOfExpiry(describeResource(resource), failure, context.clock.now()));
}

/** The token that is live by now and that the wanted Secret was observed to hold. */
function findLiveHeld(observed: Observed, now: Date): TokenRow | undefined {
  const live = observed.tokens.filter((token) => isLive(token, now));
  return findHeld(observed, live);
}

/** Whether the pass was about to end the token in the Secret at once: it may have got that far. */
function isEnding({ snapshot: { observed }, plan }: LastLook): boolean {
  const held = observed.secret.state === "ours" ? observed.secret.holds : undefined;
  return plan.actions.some(
    (action) => action.kind === "revokeTokens" && action.at === undefined && action.tokenIds.includes(held ?? ""),
  );
}

/** What keeps the Secret from being written, if that can be seen on the Secret itself: finalizers of others. */
async function explainConflict(context: PassContext, resource: ApiToken, failure: Failure): Promise<Failure> {
  const { namespace } = resource.metadata;
  const name = parseSpec(resource).desired?.secret.name;
  const secret = name && (await getSecret(context.transport, namespace, name).catch(() => undefined));
  const { deletionTimestamp, finalizers = [] } = secret ? secret.metadata : {};
  if (deletionTimestamp === undefined) return failure;
  const shown = finalizers.slice(0, 3).map((finalizer) => stripControls(finalizer.slice(0, 100)));
  return {
    reason: failure.reason,
    message: `Secret "${name}" must be created again, but is still being deleted: remove what its finalizers wait for (${shown.join(", ")}). It will be retried.`,
  };
}
