/*
 * Gauges whose values exist elsewhere and are read only when somebody scrapes. Metrics thus hold no state of their own
 * that could differ from the queue, the pool, the caches or the database.
 */
import { Gauge, type Registry } from "prom-client";
import { registerLevel } from "../../runtime/levels.ts";
import type { Caches } from "../pass/caches.ts";
import { type LeaderFigures, OWNER_LIMITS } from "./leader-figures.ts";
import { registerTokenGauges } from "./token-gauges.ts";

/** Where the gauges read their values at the time of a scrape. */
export interface ControllerLevels {
  queueDepth(): number;
  busyWorkers(): number;
  databaseConnections(): { open: number; waiting: number };
  /** Undefined until the first session has begun. */
  caches(): Pick<Caches, "apiTokens" | "ownerBlocks"> | undefined;
  /** Undefined while they are unknown, and on a replica that does not lead. */
  leaderFigures(): Promise<LeaderFigures | undefined>;
}

export function registerGauges(registry: Registry, levels: ControllerLevels): void {
  const level = (name: string, help: string, read: () => number) => registerLevel(registry, name, help, read);
  level("apitoken_queue_depth", "Keys waiting to be reconciled.", levels.queueDepth);
  level("apitoken_queue_busy", "Keys being reconciled.", levels.busyWorkers);
  level("apitoken_resources", "ApiTokens in the cache.", () => levels.caches()?.apiTokens.size ?? 0);
  level("apitoken_owner_blocks", "OwnerBlocks in the cache.", () => levels.caches()?.ownerBlocks.size ?? 0);
  level("apitoken_database_connections", "Open database connections.", () => levels.databaseConnections().open);
  level(
    "apitoken_database_waiting",
    "Statements waiting for a database connection.",
    () => levels.databaseConnections().waiting,
  );
  registerTokenGauges(registry, levels.caches);
  registerLeaderGauges(registry, levels.leaderFigures);
}

/** Only the leader knows these; on the other replicas they have no samples. */
function registerLeaderGauges(registry: Registry, readFigures: ControllerLevels["leaderFigures"]): void {
  const figure = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[],
    show: (gauge: Gauge<Label>, figures: LeaderFigures) => void,
  ) =>
    new Gauge<Label>({
      name,
      help: `${help}; queried by the leader, at most once a minute.`,
      labelNames,
      registers: [registry],
      async collect() {
        const figures = await readFigures();
        this.reset();
        if (figures !== undefined) show(this, figures);
        else if (labelNames.length === 0) this.remove(); // without labels, a reset would leave a 0
      },
    });
  figure(
    "apitoken_owners_over",
    "Owners with more live tokens in this cluster than the limit, according to the database",
    ["limit"],
    (gauge, { ownersOver }) => {
      for (const limit of OWNER_LIMITS) gauge.set({ limit }, ownersOver[limit]);
    },
  );
  figure(
    "apitoken_ended_tokens_in_use",
    "Tokens that were used within the last hour although they had ended, by how they had ended: expired or revoked",
    ["end"],
    (gauge, { endedInUse }) => {
      for (const end of ["expired", "revoked"] as const) gauge.set({ end }, endedInUse[end]);
    },
  );
  figure(
    "apitoken_leader_fenced",
    "1 if this replica holds its Lease, but the newest epoch in the database belongs to another controller",
    [],
    (gauge, { isFenced }) => gauge.set(isFenced ? 1 : 0),
  );
}
