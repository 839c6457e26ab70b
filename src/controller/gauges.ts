import { Gauge, type Registry } from "prom-client";
import type { Caches } from "./observe.ts";
import { OWNER_LIMITS, type OwnersOver } from "./owners-over.ts";
import { EXPIRING_WITHIN, summarizeTokens, type TokenSummary } from "./token-summary.ts";

/** What the gauges read at the time of a scrape. */
export interface ControllerLevels {
  queueDepth(): number;
  busyWorkers(): number;
  databaseConnections(): { open: number; waiting: number };
  /** Undefined until there are any. */
  caches(): Pick<Caches, "apiTokens" | "ownerBlocks"> | undefined;
  /** Owners with more live tokens than each of OWNER_LIMITS; undefined while that is not known, or not this replica's. */
  ownersOver(): Promise<OwnersOver | undefined>;
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
  registerSummary(registry, levels.caches);
  new Gauge({
    name: "apitoken_owners_over",
    help: "Owners with more live tokens in this cluster than the limit, by the database; asked by the leader, once a minute at most.",
    labelNames: ["limit"],
    registers,
    async collect() {
      const owners = await levels.ownersOver();
      this.reset();
      for (const limit of owners === undefined ? [] : OWNER_LIMITS) this.set({ limit }, owners?.[limit] ?? 0);
    },
  });
}

function registerSummary(registry: Registry, readCaches: ControllerLevels["caches"]): void {
  const registers = [registry];
  const read = onceInATick(() => summarizeTokens(readCaches()?.apiTokens.values() ?? [], new Date()));
  new Gauge({
    name: "apitoken_tokens",
    help: "ApiTokens by condition Ready: state is ready or not_ready, reason is the condition's.",
    labelNames: ["state", "reason"],
    registers,
    collect() {
      this.reset();
      for (const { isReady, reason, count } of read().states) {
        this.set({ state: isReady ? "ready" : "not_ready", reason }, count);
      }
    },
  });
  new Gauge({
    name: "apitoken_next_expiry_timestamp_seconds",
    help: "The earliest end of a token that a Secret holds, as Unix time; absent where none is held.",
    registers,
    collect() {
      const { nextExpiryAt } = read();
      if (nextExpiryAt === undefined) this.remove();
      else this.set(nextExpiryAt.getTime() / 1_000);
    },
  });
  new Gauge({
    name: "apitoken_tokens_expiring",
    help: "Tokens held by Secrets that end within 24h or 7d, whether a next one is to follow or not.",
    labelNames: ["within"],
    registers,
    collect() {
      const { expiring } = read();
      for (const within of Object.keys(EXPIRING_WITHIN) as (keyof TokenSummary["expiring"])[]) {
        this.set({ within }, expiring[within]);
      }
    },
  });
  new Gauge({
    name: "apitoken_oldest_unready_seconds",
    help: "How long the ApiToken that waits the longest has not been Ready; those whose token is meant to be dead do not count.",
    registers,
    collect() {
      this.set(read().oldestUnreadyMs / 1_000);
    },
  });
}

/** Several gauges of one scrape share one pass over the cache: a registry asks all of them before it waits for any. */
function onceInATick<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    if (known === undefined) {
      known = { value: compute() };
      queueMicrotask(() => {
        known = undefined;
      });
    }
    return known.value;
  };
}
