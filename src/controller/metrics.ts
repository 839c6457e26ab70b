import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** The controller's metrics. Labels have few values: nothing is labelled by resource, owner or token. */
export interface ControllerMetrics {
  readonly registry: Registry;
  readonly reconciles: Counter<"result">;
  readonly reconcileSeconds: Histogram;
  readonly actions: Counter<"action">;
  readonly watchRestarts: Counter<"resource" | "reason">;
  readonly eventsDropped: Counter;
  readonly isLeading: Gauge;
  readonly isDatabaseAvailable: Gauge;
}

/** What the gauges read at the time of a scrape. */
export interface ControllerLevels {
  queueDepth(): number;
  busyWorkers(): number;
  apiTokens(): number;
  databaseConnections(): { open: number; waiting: number };
}

/** One registry for one controller: tests run several in a process. */
export function createMetrics(levels: ControllerLevels): ControllerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const level = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  level("apitoken_queue_depth", "ApiTokens that wait to be reconciled.", levels.queueDepth);
  level("apitoken_queue_busy", "ApiTokens that are being reconciled.", levels.busyWorkers);
  level("apitoken_resources", "ApiTokens in the cache.", levels.apiTokens);
  level("apitoken_database_connections", "Open database connections.", () => levels.databaseConnections().open);
  level(
    "apitoken_database_waiting",
    "Statements that wait for a connection.",
    () => levels.databaseConnections().waiting,
  );

  return {
    registry,
    reconciles: new Counter({
      name: "apitoken_reconcile_total",
      help: "Passes over an ApiToken, by result: converged (nothing to do), changed, or the kind of failure.",
      labelNames: ["result"],
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: "apitoken_reconcile_duration_seconds",
      help: "Duration of a pass over an ApiToken.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    actions: new Counter({
      name: "apitoken_actions_total",
      help: "Writes of the controller, by action.",
      labelNames: ["action"],
      registers,
    }),
    watchRestarts: new Counter({
      name: "apitoken_watch_restarts_total",
      help: "Watches of the Kubernetes API that broke and were started again.",
      labelNames: ["resource", "reason"],
      registers,
    }),
    eventsDropped: new Counter({
      name: "apitoken_events_dropped_total",
      help: "Events that were not written.",
      registers,
    }),
    isLeading: new Gauge({ name: "apitoken_leading", help: "1 while this replica leads.", registers }),
    isDatabaseAvailable: new Gauge({
      name: "apitoken_database_available",
      help: "1 while the connection that listens for changes stands.",
      registers,
    }),
  };
}
