/*
 * Reports uses and refusals to the database behind the answers: nobody waits for it, and what cannot be reported is kept, within
 * limits, until the database is back.
 */
import type { Queryable } from "../../postgres/database.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Answer } from "../lookup.ts";
import { createLatestUses } from "./latest.ts";
import { createRefusals } from "./refusals.ts";

/** Collects what is to be reported. */
export interface UseReports {
  /** Notes what an answer says of its token at `atMs` of the database's time. */
  note(answer: Answer, atMs: number, address: string | undefined): void;
  /** Reports everything now. Throws the database's errors. */
  flush(): Promise<void>;
  /** Reports what is left, and no more. */
  stop(): Promise<void>;
}

/** The database notes a use of a token once a minute at most. */
const EVERY_MS = 15_000;

/** Begins to report every few seconds. */
export function createUseReports(db: Queryable, log: Logger, everyMs = EVERY_MS): UseReports {
  const latest = createLatestUses(db);
  const refusals = createRefusals(db);
  let flushing = Promise.resolve();

  const report = async () => {
    await latest.flush();
    await refusals.flush();
  };
  const flush = () => {
    flushing = flushing.catch(() => {}).then(report);
    return flushing;
  };
  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.debug({ err: error }, "uses could not be reported; trying again"));
  }, everyMs);
  timer.unref();

  return {
    note(answer, atMs, address) {
      if (answer.kind === "unknown") return;
      // Only whoever has the secret uses the token.
      if (answer.token !== undefined) latest.note(answer.token.uses, atMs, address);
      const refused = answer.kind === "no" ? (answer.token ?? answer.claimed) : undefined;
      if (answer.kind === "no" && refused !== undefined) refusals.note(refused.uses, answer.why, atMs, address);
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}
