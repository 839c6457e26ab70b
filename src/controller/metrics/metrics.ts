import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ApiTokenStatus } from "../../token/model.ts";
import { type Action, ISSUE_CAUSES, REVOCATION_REASONS, type RevocationReason } from "../../token/plan/action.ts";
import { findCondition } from "../../token/status.ts";
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
  /** Counts what a pass has written. */
  countActions(actions: readonly Action[]): void;
  /** Counts tokens that were ended otherwise than by an action. */
  countRevocations(reason: RevocationReason, tokens: number): void;
  /** Counts what the database has ended when it issued another token: it shows in the status of the one that yields. */
  countTransition(before: ApiTokenStatus | undefined, after: ApiTokenStatus | undefined): void;
}

/** Beside the plan's causes: in the place of a token that no Secret holds. */
export const REPLACED = "Replaced";

/** One registry for one controller: tests run several in a process. */
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
  const failures = counter("apitoken_failures_total", "Passes that failed and are tried again, by reason.", "reason");
  const actions = counter("apitoken_actions_total", "Writes of the controller, by action.", "action");
  const issues = counter("apitoken_issues_total", "Tokens issued, by cause.", "cause");
  const rotations = counter(
    "apitoken_rotations_total",
    "Tokens that were followed by the next one, in time or on request.",
  );
  const revocations = counter(
    "apitoken_revocations_total",
    "Tokens that the controller has ended, by reason.",
    "reason",
  );
  // From the beginning, so that the first one shows as an increase.
  for (const cause of [...ISSUE_CAUSES, REPLACED]) issues.inc({ cause }, 0);
  for (const reason of REVOCATION_REASONS) revocations.inc({ reason }, 0);

  return {
    registry,
    reconciles,
    reconcileSeconds,
    failures,
    watchRestarts: counter(
      "apitoken_watch_restarts_total",
      "Watches of the Kubernetes API that broke and were started again.",
      "resource",
      "reason",
    ),
    eventsDropped: counter("apitoken_events_dropped_total", "Events that were not written."),
    isLeading: new Gauge({ name: "apitoken_leading", help: "1 while this replica leads.", registers }),
    isDatabaseAvailable: new Gauge({
      name: "apitoken_database_available",
      help: "1 while the connection that listens for changes stands.",
      registers,
    }),
    countActions(written) {
      for (const action of written) {
        actions.inc({ action: action.kind });
        if (action.kind === "issueToken") issues.inc({ cause: action.cause });
        if (action.kind === "replaceToken") issues.inc({ cause: REPLACED });
        if (action.kind === "issueToken" && (action.cause === "Due" || action.cause === "Requested")) rotations.inc();
        // One that is superseded shows in its status, whoever has ended it: it is not to be counted twice.
        if (action.kind === "revokeTokens" && action.reason !== "Superseded") {
          revocations.inc({ reason: action.reason }, action.tokenIds.length);
        }
      }
    },
    countRevocations: (reason, tokens) => revocations.inc({ reason }, tokens),
    countTransition(before = {}, after = {}) {
      const isSuperseded = (status: ApiTokenStatus) => findCondition(status, "Revoked")?.reason === "Superseded";
      const hadToken = findCondition(before, "Ready")?.status === "True";
      if (hadToken && isSuperseded(after) && !isSuperseded(before)) revocations.inc({ reason: "Superseded" });
    },
  };
}
