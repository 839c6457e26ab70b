/*
 * Looks, behind the answers, at the rows of some tokens that were found good. A change that was never heard of shows itself here: it
 * is reported, and the row wins.
 */
import type { Queryable } from "../../postgres/database.ts";
import { findTokens } from "../../postgres/verification.ts";
import type { Logger } from "../../runtime/log.ts";
import { pause } from "../../runtime/signals.ts";
import type { Blockages } from "./blockages.ts";
import type { KnownToken } from "./known-token.ts";
import type { TokenMemory } from "./memory.ts";
import type { Prover } from "./prover.ts";
import type { Truth } from "./truth.ts";

export interface SpotCheckOptions {
  readonly db: Queryable;
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly prover: Prover;
  readonly log: Logger;
  /** A token's row had changed, and nothing was heard of it. */
  readonly onMissedChange: () => void;
}

/** Checks answers after they were given. */
export interface SpotChecks {
  /** A token was found good; one in a hundred is checked. */
  note(token: KnownToken): void;
  /** Checks what was noted, until the signal. */
  keep(signal: AbortSignal): Promise<void>;
}

const SHARE = 0.01;
const EVERY_MS = 1_000;

/** How many tokens are looked at in one statement; more are left out, so that no answer waits for longer than a millisecond. */
const MOST_NOTED = 50;

/** Begins with nothing noted. */
export function createSpotChecks(options: SpotCheckOptions): SpotChecks {
  const { truth, log } = options;
  const noted = new Set<string>();
  return {
    note(token) {
      if (Math.random() < SHARE && noted.size < MOST_NOTED) noted.add(token.id);
    },
    async keep(signal) {
      while (!signal.aborted) {
        await pause(EVERY_MS, signal);
        const ids = [...noted];
        noted.clear();
        if (ids.length === 0 || truth.standing() !== "fresh") continue;
        await check(options, ids).catch((error: unknown) => log.debug({ err: error }, "answers could not be checked"));
      }
    },
  };
}

async function check(options: SpotCheckOptions, ids: readonly string[]): Promise<void> {
  const { db, memory, prover, log, onMissedChange } = options;
  const reading = memory.beginReading();
  try {
    const { now, items } = await findTokens(db, ids);
    const rows = new Map(items.map(({ token }) => [token.id, token]));
    const different = ids.flatMap((id) => {
      const known = memory.use(id);
      const row = rows.get(id);
      return known === undefined || (row !== undefined && known.isLike(row)) ? [] : [{ known, row }];
    });
    if (different.length === 0) return;
    // Once this is proved, whatever was committed before the rows were read has been heard.
    const isProved = await prover.whenProved();
    for (const { known, row } of different) {
      if (isProved && isTrusted(options, known, now.getTime())) {
        log.error(
          { tokenId: known.id },
          "a token's row has changed, and nothing was heard of it; the row counts from now on",
        );
        onMissedChange();
      }
      if (row === undefined) reading.forget(known.id);
      else reading.keep(row, now.getTime());
    }
  } finally {
    reading.end();
  }
}

/** Whether memory alone would still say yes. What has ended is not notified any more, nor what a block ends. */
function isTrusted({ memory, blockages, truth }: SpotCheckOptions, known: KnownToken, nowMs: number): boolean {
  const isCurrent = memory.get(known.id) === known && !known.isSuspect && nowMs < known.acceptedUntilMs;
  return isCurrent && truth.standing() === "fresh" && nowMs < (blockages.find(known.owner) ?? Number.NEGATIVE_INFINITY);
}
