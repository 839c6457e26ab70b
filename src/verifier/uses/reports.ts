/*
 * Reports uses and refusals to the database behind the answers: nobody waits for it, and what cannot be reported is kept, within
 * limits, until the database is back.
 */
import type { Queryable } from "../../postgres/database.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Answer } from "../lookup.ts";
import { createUseCounts } from "./counts.ts";
import { createLatestUses } from "./latest.ts";
import { createRefusals } from "./refusals.ts";

/** Collects what is to be reported. */
export interface UseReports {
  /** Notes what an answer says of its token at `atMs` of the database's time. */
  note(answer: Answer, atMs: number, address: string | undefined): void;
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

/** Begins to report every few seconds. */
export function createUseReports(db: Queryable, log: Logger, everyMs = EVERY_MS): UseReports {
  const latest = createLatestUses(db);
  const refusals = createRefusals(db);
  const counts = createUseCounts(db);
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
  const flush = () => report([latest, refusals, counts]);
  const timer = setInterval(() => {
    reports += 1;
    report(reports % COUNTS_EVERY === 0 ? [latest, refusals, counts] : [latest, refusals]).catch((error: unknown) =>
      log.debug({ err: error }, "uses could not be reported; trying again"),
    );
  }, everyMs);
  timer.unref();

  return {
    note(answer, atMs, address) {
      if (answer.kind === "unknown") return;
      const why = answer.kind === "no" ? answer.why : undefined;
      // Only whoever has the secret uses the token; whoever has its id alone is refused.
      const { token } = answer;
      if (token !== undefined) latest.note(token.uses, atMs, address);
      const uses = (answer.kind === "no" ? (token ?? answer.claimed) : token)?.uses;
      if (uses === undefined) return;
      counts.count(uses, why, atMs);
      if (why !== undefined) refusals.note(uses, why, atMs, address);
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
