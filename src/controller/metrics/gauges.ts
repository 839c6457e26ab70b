import { Gauge, type Registry } from "prom-client";
import type { Caches } from "../pass/caches.ts";
import { type LeaderFigures, OWNER_LIMITS } from "./leader-figures.ts";
import { registerTokenGauges } from "./token-gauges.ts";

/** What the gauges read at the time of a scrape. */
export interface ControllerLevels {
  queueDepth(): number;
  busyWorkers(): number;
  databaseConnections(): { open: number; waiting: number };
  /** Undefined until there are any. */
  caches(): Pick<Caches, "apiTokens" | "ownerBlocks"> | undefined;
  /** Undefined while they are not known, and where another replica leads. */
  leaderFigures(): Promise<LeaderFigures | undefined>;
}

/** Registers what is read only when somebody asks. */
export function registerGauges(registry: Registry, levels: ControllerLevels): void {
  const registers = [registry];
  const level = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  level("apitoken_queue_depth", "Keys that wait to be reconciled.", levels.queueDepth);
  level("apitoken_queue_busy", "Keys that are being reconciled.", levels.busyWorkers);
  level("apitoken_resources", "ApiTokens in the cache.", () => levels.caches()?.apiTokens.size ?? 0);
  level("apitoken_owner_blocks", "OwnerBlocks in the cache.", () => levels.caches()?.ownerBlocks.size ?? 0);
  level("apitoken_database_connections", "Open database connections.", () => levels.databaseConnections().open);
  level(
    "apitoken_database_waiting",
    "Statements that wait for a connection.",
    () => levels.databaseConnections().waiting,
  );
  registerTokenGauges(registry, levels.caches);
  registerLeaderGauges(registry, levels.leaderFigures);
}

/** What only the leader knows: on the other replicas these have no samples. */
function registerLeaderGauges(registry: Registry, readFigures: ControllerLevels["leaderFigures"]): void {
  const figure = <Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[],
    show: (gauge: Gauge<Label>, figures: LeaderFigures) => void,
  ) =>
    new Gauge<Label>({
      name,
      help: `${help}; asked by the leader, once a minute at most.`,
      labelNames,
      registers: [registry],
      async collect() {
        const figures = await readFigures();
        this.reset();
        if (figures !== undefined) show(this, figures);
        else if (labelNames.length === 0) this.remove(); // a reset of one without labels leaves a 0
      },
    });
  figure(
    "apitoken_owners_over",
    "Owners with more live tokens in this cluster than the limit, by the database",
    ["limit"],
    (gauge, { ownersOver }) => {
      for (const limit of OWNER_LIMITS) gauge.set({ limit }, ownersOver[limit]);
    },
  );
  figure(
    "apitoken_ended_tokens_in_use",
    "Tokens whose last use, within the last hour, came after their end, by what had ended them: expired or revoked",
    ["end"],
    (gauge, { endedInUse }) => {
      for (const end of ["expired", "revoked"] as const) gauge.set({ end }, endedInUse[end]);
    },
  );
  figure(
    "apitoken_leader_fenced",
    "1 where this replica leads by its Lease, but the newest epoch in the database is another controller's",
    [],
    (gauge, { isFenced }) => gauge.set(isFenced ? 1 : 0),
  );
}
