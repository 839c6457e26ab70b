/*
 * Every counter and histogram of the controller, with its name and help text, so that docs/operations.md can be tested
 * against this list. What a pass counts is derived from the actions of its plan, so that no action can be forgotten.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ApiTokenStatus } from "../../token/model.ts";
import { type Action, ISSUE_CAUSES, REVOCATION_REASONS, type RevocationReason } from "../../token/plan/action.ts";
import { findCondition, isReady } from "../../token/status.ts";
import { type ControllerLevels, registerGauges } from "./gauges.ts";

/** The controller's metrics. Labels have few values: nothing is labelled by resource, owner or token. */
export interface ControllerMetrics {
  readonly registry: Registry;
  readonly reconciles: Counter<"result">;
  readonly reconcileSeconds: Histogram;
  readonly failures: Counter<"reason">;
  readonly watchRestarts: Counter<"resource" | "reason">;
  readonly eventsDropped: Counter;
  readonly isLeading: Gauge;
  readonly isDatabaseAvailable: Gauge;
  /** Counts the actions of a plan that was carried out. */
  countActions(actions: readonly Action[]): void;
  /** Counts tokens that were revoked other than by an action. */
  countRevocations(reason: RevocationReason, tokens: number): void;
  /**
   * Counts a token that was superseded. The database revokes it while it issues a token for another ApiToken, so no
   * action exists for it; the change shows only in the status of the ApiToken that lost its token.
   */
  countTransition(before: ApiTokenStatus | undefined, after: ApiTokenStatus | undefined): void;
}

/** A cause next to those of the plan: issued in place of a token that no Secret holds. */
export const REPLACED = "Replaced";

/** Each controller has its own registry, because tests run several controllers in one process. */
export function createMetrics(levels: ControllerLevels): ControllerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  registerGauges(registry, levels);
  const counter = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter<Label>({ name, help, labelNames, registers });

  const reconciles = counter(
    "apitoken_reconcile_total",
    "Passes over an ApiToken, by result: converged (nothing to do), changed, or the kind of failure.",
    "result",
  );
  const reconcileSeconds = new Histogram({
    name: "apitoken_reconcile_duration_seconds",
    help: "Duration of a pass over an ApiToken.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const failures = counter("apitoken_failures_total", "Passes that failed and will be retried, by reason.", "reason");
  const actions = counter("apitoken_actions_total", "Writes made by the controller, by action.", "action");
  const issues = counter("apitoken_issues_total", "Tokens issued, by cause.", "cause");
  const rotations = counter("apitoken_rotations_total", "Tokens that were rotated, on schedule or on request.");
  const revocations = counter(
    "apitoken_revocations_total",
    "Tokens that the controller has revoked, by reason.",
    "reason",
  );
  // Starts the series at 0, so that Prometheus sees the first event as an increase.
  for (const cause of [...ISSUE_CAUSES, REPLACED]) issues.inc({ cause }, 0);
  for (const reason of REVOCATION_REASONS) revocations.inc({ reason }, 0);

  return {
    registry,
    reconciles,
    reconcileSeconds,
    failures,
    watchRestarts: counter(
      "apitoken_watch_restarts_total",
      "Watches of the Kubernetes API that broke and were restarted.",
      "resource",
      "reason",
    ),
    eventsDropped: counter("apitoken_events_dropped_total", "Kubernetes Events that could not be written."),
    isLeading: new Gauge({ name: "apitoken_leading", help: "1 while this replica leads.", registers }),
    isDatabaseAvailable: new Gauge({
      name: "apitoken_database_available",
      help: "1 while the connection that listens for changes is up.",
      registers,
    }),
    countActions(written) {
      for (const action of written) {
        actions.inc({ action: action.kind });
        if (action.kind === "issueToken") issues.inc({ cause: action.cause });
        if (action.kind === "replaceToken") issues.inc({ cause: REPLACED });
        if (action.kind === "issueToken" && (action.cause === "Due" || action.cause === "Requested")) rotations.inc();
        // countTransition counts these, no matter who revoked them; counting them here would count them twice.
        if (action.kind === "revokeTokens" && action.reason !== "Superseded") {
          revocations.inc({ reason: action.reason }, action.tokenIds.length);
        }
      }
    },
    countRevocations: (reason, tokens) => revocations.inc({ reason }, tokens),
    countTransition(before = {}, after = {}) {
      const isSuperseded = (status: ApiTokenStatus) => findCondition(status, "Revoked")?.reason === "Superseded";
      if (isReady(before) && isSuperseded(after) && !isSuperseded(before)) revocations.inc({ reason: "Superseded" });
    },
  };
}
