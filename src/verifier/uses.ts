/*
 * Reports uses and refusals to the database behind the answers: nobody waits for it, and what cannot be reported is kept, within
 * limits, until the database is back.
 */
import type { Queryable } from "../postgres/database.ts";
import { noteUses, recordFailure, USES_PER_CALL } from "../postgres/verification.ts";
import type { Logger } from "../runtime/log.ts";
import { FAILURE_REASONS } from "../token/verdict.ts";
import type { RefusalReason } from "./lookup.ts";
import type { KnownToken, Uses } from "./memory/known-token.ts";

/** Collects what is to be reported. */
export interface UseReports {
  /** Notes that a token was shown, good or dead: whoever still shows a dead one must learn of it. */
  noteUse(token: KnownToken, atMs: number, address: string | undefined): void;
  noteRefusal(tokenId: string, why: RefusalReason, address: string | undefined): void;
  /** Reports everything now. Throws the database's errors. */
  flush(): Promise<void>;
  /** Reports what is left, and no more. */
  stop(): Promise<void>;
}

/** The database notes a use of a token once a minute at most. */
const EVERY_MS = 15_000;

/** How many tokens' refusals are kept; the database records one a minute for each. */
const MOST_REFUSALS = 1_000;

interface Refusal {
  readonly why: string;
  readonly address: string | undefined;
}

/** Begins to report every few seconds. */
export function createUseReports(db: Queryable, log: Logger, everyMs = EVERY_MS): UseReports {
  let used = new Set<Uses>();
  let refusals = new Map<string, Refusal>();
  let flushing = Promise.resolve();

  const reportUses = async () => {
    const batch = [...used];
    used = new Set();
    for (const use of batch) use.isReported = true; // a use from now on goes into the next batch
    for (let start = 0; start < batch.length; start += USES_PER_CALL) {
      // In the order of ids, so that two verifiers never wait for each other in turn.
      const part = batch.slice(start, start + USES_PER_CALL).sort((a, b) => (a.id < b.id ? -1 : 1));
      try {
        await noteUses(
          db,
          part.map(({ id, latestMs, latestAddress }) => ({ id, at: new Date(latestMs), address: latestAddress })),
        );
      } catch (error) {
        for (const use of batch.slice(start)) {
          use.isReported = false;
          used.add(use);
        }
        throw error;
      }
    }
  };
  const reportRefusals = async () => {
    const batch = refusals;
    refusals = new Map();
    for (const [id, { why, address }] of batch) await recordFailure(db, id, why, address);
  };
  const flush = () => {
    flushing = flushing
      .catch(() => {})
      .then(async () => {
        await reportUses();
        await reportRefusals();
      });
    return flushing;
  };
  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.debug({ err: error }, "uses could not be reported; trying again"));
  }, everyMs);
  timer.unref();

  return {
    noteUse({ uses }, atMs, address) {
      uses.latestMs = atMs;
      uses.latestAddress = address;
      if (!uses.isReported) return;
      uses.isReported = false;
      used.add(uses);
    },
    noteRefusal(tokenId, why, address) {
      if (refusals.size >= MOST_REFUSALS || refusals.has(tokenId) || !isRecorded(why)) return;
      refusals.set(tokenId, { why, address });
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}

function isRecorded(why: string): boolean {
  return (FAILURE_REASONS as readonly string[]).includes(why);
}
