/*
 * Reports uses and refusals to the database behind the answers: nobody waits for it, and what cannot be reported is kept, within
 * limits, until the database is back.
 */
import type { Logger } from "../../runtime/log.ts";
import { isAddress } from "../../token/network.ts";
import { RATE_LIMITED } from "../../token/verdict.ts";
import type { CountedAnswer } from "../lookup.ts";
import { createWatch, type WatchOptions } from "./anomalies.ts";
import { createUseCounts } from "./counts.ts";
import { createLatestUses } from "./latest.ts";
import { createRefusals } from "./refusals.ts";

/** Collects what is to be reported. */
export interface UseReports {
  /** Notes what an answer says of its token at `atMs` of the database's time. */
  note(answer: CountedAnswer, atMs: number, address: string | undefined): void;
  /** Reports everything now. Throws the database's first error, after everything was tried. */
  flush(): Promise<void>;
  /** Reports what is left, and no more. */
  stop(): Promise<void>;
  /** How many uses are missing in the counts, because too many waited. */
  readonly lost: number;
}

/** The database notes a use of a token once a minute at most. */
const EVERY_MS = 15_000;

/** Counts change a row for each token that was used, so they are reported less often: at every fourth report. */
const COUNTS_EVERY = 4;

export interface UseReportsOptions extends WatchOptions {
  readonly log: Logger;
  /** The database's time, in ms since 1970. */
  readonly nowMs: () => number;
  readonly everyMs?: number;
}

/** Begins to report every few seconds. */
export function createUseReports(options: UseReportsOptions): UseReports {
  const { db, log, nowMs, everyMs = EVERY_MS } = options;
  const latest = createLatestUses(db);
  const refusals = createRefusals(db);
  const counts = createUseCounts(db);
  const watch = createWatch(options, nowMs);
  let reporting = Promise.resolve();
  let reports = 0;

  /** One report after the other, and each part whatever has become of the others. */
  const report = (parts: readonly { flush(): Promise<void> }[]) => {
    const run = async () => {
      const failures: unknown[] = [];
      for (const part of parts) await part.flush().catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    };
    reporting = reporting.catch(() => {}).then(run);
    return reporting;
  };
  const often = [latest, refusals, watch];
  const all = [...often, counts];
  const flush = () => report(all);
  const timer = setInterval(() => {
    reports += 1;
    report(reports % COUNTS_EVERY === 0 ? all : often).catch((error: unknown) =>
      log.debug({ err: error }, "uses could not be reported; trying again"),
    );
  }, everyMs);
  timer.unref();

  return {
    note(answer, atMs, shownAddress) {
      if (answer.kind === "unknown") return;
      const why = answer.kind === "no" ? answer.why : answer.kind === "limited" ? RATE_LIMITED : undefined;
      // Only whoever has the secret uses the token; whoever has its id alone is refused.
      const { token } = answer;
      const address = shownAddress === token?.uses.latestAddress ? shownAddress : readAddress(shownAddress);
      if (token !== undefined) {
        watch.see(token.uses, atMs, address);
        latest.note(token.uses, atMs, address);
      }
      const uses = (answer.kind === "no" ? (token ?? answer.claimed) : token)?.uses;
      if (uses === undefined) return;
      counts.count(uses, why, atMs);
      if (why === undefined) return;
      refusals.note(uses, why, atMs, address);
      if (why === "WrongSecret") watch.seeWrongSecret(uses, atMs, address);
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
    get lost() {
      return counts.lost;
    },
  };
}

/** What a header or a form says may be anything; one that the database cannot read would keep all others from being reported. */
function readAddress(shown: string | undefined): string | undefined {
  return shown !== undefined && isAddress(shown) ? shown : undefined;
}
