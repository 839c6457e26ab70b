import { Gauge, type Registry } from "prom-client";
import type { Caches } from "../pass/caches.ts";
import { EXPIRING_WITHIN, summarizeTokens, type TokenSummary } from "./token-summary.ts";

/** Registers what is told of the ApiTokens in the cache, read when somebody asks. */
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
    "The earliest end of a token that a Secret holds, as Unix time; absent where none is held.",
    ({ nextExpiryAt }) => nextExpiryAt,
  );
  moment(
    "apitoken_oldest_due_rotation_timestamp_seconds",
    "Since when the next token is due that has been due the longest, as Unix time; absent where none is.",
    ({ due }) => due.sinceAt,
  );
  moment(
    "apitoken_due_rotation_expiry_timestamp_seconds",
    "The earliest end of a token whose next one is due, as Unix time; absent where none is.",
    ({ due }) => due.nextExpiryAt,
  );
  new Gauge({
    name: "apitoken_rotations_due",
    help: "Tokens held by Secrets whose time to be renewed has come.",
    registers,
    collect() {
      this.set(read().due.count);
    },
  });
  new Gauge({
    name: "apitoken_tokens_not_renewed",
    help: "Tokens held by Secrets that end within 24h or 7d and that none is to follow, by the reason of condition Ready.",
    labelNames: ["within", "reason"],
    registers,
    collect() {
      this.reset();
      for (const { within, reason, count } of read().notRenewed) this.set({ within, reason }, count);
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
