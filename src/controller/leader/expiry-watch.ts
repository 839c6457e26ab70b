/*
 * A pass that fails, or waits behind others, cannot say that the token has expired meanwhile. But the status names the
 * expiry: so this looks at the statuses alone, once a second, and no outage and no queue can leave one that calls a dead token
 * Ready.
 */
import { setTimeout as delay } from "node:timers/promises";
import { isCode } from "../../kube/api-error.ts";
import type { ApiToken } from "../../kube/resources/api-token.ts";
import type { Logger } from "../../runtime/log.ts";
import { isReadyPastExpiry } from "../../token/failure.ts";
import { formatTime } from "../../token/status.ts";
import { keyOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { DATABASE_UNAVAILABLE } from "../pass/failures.ts";
import { reportExpiry } from "../pass/report.ts";

const LOOK_EVERY_MS = 1_000;

/** The pass that is due at the expiry comes first, if nothing is wrong. */
const HEAD_START_MS = 1_000;

/** Many tokens may have expired while no controller ran. */
const WRITES_AT_ONCE = 8;

/** After a status could not be written, because a webhook refuses it, say. */
const REST_MS = 60_000;

/** Begins at once, and ends with the signal. Never rejects. */
export async function watchExpiries(context: PassContext, log: Logger, signal: AbortSignal): Promise<void> {
  const restingUntilMs = new Map<string, number>();
  await context.clock.compare();
  while (!signal.aborted) {
    await look(context, restingUntilMs, signal).catch((error: unknown) => {
      log.warn({ err: error }, "expired tokens could not be reported");
    });
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
  }
}

async function look(context: PassContext, restingUntilMs: Map<string, number>, signal: AbortSignal): Promise<void> {
  for (const [key, untilMs] of restingUntilMs) if (untilMs <= performance.now()) restingUntilMs.delete(key);
  if (findOverdue(context).length === 0) return;
  // Only the database knows the time, and whether it is what stands in the way.
  const failure = (await context.clock.compare()) ? undefined : DATABASE_UNAVAILABLE;
  const overdue = findOverdue(context)
    .filter(({ metadata }) => !restingUntilMs.has(keyOf(metadata)))
    .values();
  const write = async () => {
    for (const resource of overdue) {
      if (signal.aborted) return;
      try {
        await reportExpiry(context, resource, failure);
      } catch (error) {
        // After a conflict the watch brings the newer version, which the next look judges.
        if (!isCode(error, 404, 409)) restingUntilMs.set(keyOf(resource.metadata), performance.now() + REST_MS);
      }
    }
  };
  await Promise.all(Array.from({ length: WRITES_AT_ONCE }, write));
}

function findOverdue({ caches, clock }: PassContext): ApiToken[] {
  const at = new Date(clock.now().getTime() - HEAD_START_MS);
  // Compared as text first, because to parse the times of ten thousand statuses would take a hundredth of each second.
  const text = formatTime(at);
  const overdue: ApiToken[] = [];
  for (const resource of caches.apiTokens.values()) {
    const { status } = resource;
    if (status?.expiresAt !== undefined && status.expiresAt <= text && isReadyPastExpiry(status, at)) {
      overdue.push(resource);
    }
  }
  return overdue;
}
