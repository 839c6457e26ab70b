/*
 * Alerts on expiring and overdue tokens need one answer for the whole cluster, not a series for each ApiToken. These
 * gauges are computed from the cache at scrape time, so every replica exports them, the leader or not.
 */
import { Gauge, type Registry } from "prom-client";
import type { Caches } from "../pass/caches.ts";
import { EXPIRING_WITHIN, summarizeTokens, type TokenSummary } from "./token-summary.ts";

/** Registers the gauges. Before the caches exist (`readCaches` returns undefined) they show no ApiTokens. */
export function registerTokenGauges(registry: Registry, readCaches: () => Pick<Caches, "apiTokens"> | undefined): void {
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
  const moment = (name: string, help: string, pick: (summary: TokenSummary) => Date | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const at = pick(read());
        if (at === undefined) this.remove();
        else this.set(at.getTime() / 1_000);
      },
    });
  moment(
    "apitoken_next_expiry_timestamp_seconds",
    "The earliest expiry among tokens held by Secrets, as Unix time; absent if no Secret holds a token.",
    ({ nextExpiryAt }) => nextExpiryAt,
  );
  moment(
    "apitoken_oldest_due_rotation_timestamp_seconds",
    "When the most overdue rotation became due, as Unix time; absent if no rotation is due.",
    ({ due }) => due.sinceAt,
  );
  moment(
    "apitoken_due_rotation_expiry_timestamp_seconds",
    "The earliest expiry among tokens whose rotation is due, as Unix time; absent if no rotation is due.",
    ({ due }) => due.nextExpiryAt,
  );
  new Gauge({
    name: "apitoken_rotations_due",
    help: "Tokens held by Secrets whose rotation is due.",
    registers,
    collect() {
      this.set(read().due.count);
    },
  });
  new Gauge({
    name: "apitoken_tokens_not_renewed",
    help: "Tokens held by Secrets that expire within 24h or 7d and will not be renewed, by the reason of condition Ready.",
    labelNames: ["within", "reason"],
    registers,
    collect() {
      this.reset();
      for (const { within, reason, count } of read().notRenewed) this.set({ within, reason }, count);
    },
  });
  new Gauge({
    name: "apitoken_tokens_expiring",
    help: "Tokens held by Secrets that expire within 24h or 7d, whether or not they will be renewed.",
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
    help: "How long the longest-waiting ApiToken has not been Ready, not counting those whose token is meant to be dead.",
    registers,
    collect() {
      this.set(read().oldestUnreadyMs / 1_000);
    },
  });
}

/** Lets all gauges of one scrape share one pass over the cache: a registry calls them all before it awaits any. */
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
