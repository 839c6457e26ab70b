/*
 * What the policies would do with a spec, in words.
 */
import { formatDuration } from "../../token/duration.ts";
import type { DesiredToken } from "../../token/model.ts";
import type { Preview } from "../client/preview.ts";

/** One sentence for each thing that somebody should know before the ApiToken is created. */
export function wordPreview(
  preview: Preview,
  namespace: string,
  { lifetime }: Pick<DesiredToken, "lifetime">,
): string[] {
  switch (preview.kind) {
    case "unknown":
      return [
        `You lack the right to ${preview.missingRight}, so what the policy allows is known only once the controller has looked.`,
      ];
    case "unreadable":
      return [
        `The ApiTokenPolicy ${preview.policy} cannot be read, and until it can, nothing is issued anywhere: ${preview.problem}`,
      ];
    case "missing":
      return [`No ApiTokenPolicy selects the namespace ${namespace}, so no token would be issued.`];
    case "denied":
      return [`The ApiTokenPolicy ${preview.policy} denies it: ${preview.rule}.`];
    case "allowed":
      return [
        `The ApiTokenPolicy ${preview.policy} allows it: the token would live ${formatDuration(preview.durationMs)}, until ${preview.expiresAt}.`,
        ...(preview.isClamped ? [wordClamping(preview.maxDurationMs, lifetime)] : []),
        `The owner may have ${preview.perOwner.max === 1 ? "one token" : `${preview.perOwner.max} tokens`}; ${
          preview.perOwner.onLimit === "Reject" ? "a further ApiToken waits" : "a further one ends the oldest for good"
        }.`,
      ];
  }
}

/** That the token gets less time than was asked for. */
export function wordClamping(maxDurationMs: number, lifetime: DesiredToken["lifetime"]): string {
  const maximum = formatDuration(maxDurationMs);
  return lifetime.kind === "duration"
    ? `The maximum is ${maximum}: the token gets ${maximum} instead of ${formatDuration(lifetime.durationMs)}.`
    : `The maximum is ${maximum}: the token gets ${maximum}, and ends earlier than was asked for.`;
}
