/*
 * Keeps memory true: reads everything when listening begins, takes in what is heard, and says when memory counts.
 */
import type { Database } from "../../postgres/database.ts";
import { readAcceptedTokens, readBlockages } from "../../postgres/verification.ts";
import type { Logger } from "../../runtime/log.ts";
import { pause } from "../../runtime/signals.ts";
import type { VerifierClock } from "../clock.ts";
import type { Blockages } from "./blockages.ts";
import { listenForEverything } from "./feed.ts";
import type { TokenMemory } from "./memory.ts";
import type { Truth } from "./truth.ts";

export interface KeeperOptions {
  readonly db: Database;
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly clock: VerifierClock;
  readonly log: Logger;
  /** How many tokens are kept. */
  readonly limit: number;
  readonly pulseMs: number;
  /** Everything has been read. */
  readonly onComplete: () => void;
  readonly onHeard: () => void;
  readonly onLost: () => void;
}

const PAGE = 2_000;
const RETRY_MS = 500;

/** However good notifications are, everything is read again this often. */
const READ_EVERY_MS = 600_000;

/** The most owners whose blocks are read one by one; beyond that all blocks are read at once. */
const OWNERS_AT_ONCE = 20;

/** Keeps memory true until the signal. Throws a SessionLostError if the database's sessions are shared by a pooler. */
export async function keepMemory(options: KeeperOptions, signal: AbortSignal): Promise<void> {
  const { db, memory, blockages, truth, clock, log, pulseMs } = options;
  const reader = createReader(options, signal);
  const timer = setInterval(() => reader.begin(), READ_EVERY_MS);
  try {
    await listenForEverything({
      db,
      pulseMs,
      signal,
      handlers: {
        onListening() {
          truth.beginListening();
          reader.begin();
        },
        onProof(sentAtMs, databaseNow) {
          clock.set(databaseNow, sentAtMs, performance.now());
          truth.prove(sentAtMs);
          options.onHeard();
        },
        onTokenChange: (id) => memory.hearChange(id),
        onBlockChange(owner) {
          blockages.hearChange(owner);
          reader.readBlocks();
        },
        onEverything() {
          truth.beginListening();
          reader.begin();
        },
        onLost(error) {
          truth.lose();
          options.onLost();
          log.warn({ err: error }, "changes in the database are not heard; trying again");
        },
      },
    });
  } finally {
    clearInterval(timer);
    await reader.stop();
  }
}

/** What has to be read. */
type Part = "blocks" | "everything";

/** Reads what is wanted, one reading after the other; what cannot be read is tried again. */
function createReader(options: KeeperOptions, signal: AbortSignal) {
  const wanted = new Set<Part>();
  let work: Promise<void> | undefined;

  const read = (part: Part) =>
    part === "everything"
      ? readEverything(options, () => wanted.has("everything") || signal.aborted)
      : readSuspectBlocks(options);
  const run = async () => {
    for (let [part] = wanted; part !== undefined && !signal.aborted; [part] = wanted) {
      wanted.delete(part);
      try {
        await read(part);
      } catch (error) {
        options.log.debug({ err: error }, "tokens could not be read; trying again");
        wanted.add(part);
        await pause(RETRY_MS, signal);
      }
    }
    work = undefined;
  };
  const want = (part: Part) => {
    wanted.add(part);
    work ??= run();
  };
  return { begin: () => want("everything"), readBlocks: () => want("blocks"), stop: async () => work };
}

async function readEverything(options: KeeperOptions, isObsolete: () => boolean): Promise<void> {
  const { db, memory, blockages, truth, clock, limit } = options;
  const takeBlocks = blockages.beginReading();
  takeBlocks(await readBlockages(db));
  const reading = memory.beginReading();
  try {
    let after = "";
    for (let kept = 0; kept < limit; kept += PAGE) {
      const askedAtMs = performance.now();
      const { now, items } = await readAcceptedTokens(db, after, Math.min(PAGE, limit - kept));
      clock.set(now, askedAtMs, performance.now());
      if (isObsolete()) return;
      for (const token of items) reading.keep(token, now.getTime());
      after = items.at(-1)?.id ?? "";
      if (items.length < PAGE) break;
    }
    reading.wasComplete();
    truth.completeReading();
    options.onComplete();
  } finally {
    reading.end();
  }
}

async function readSuspectBlocks({ db, blockages }: KeeperOptions): Promise<void> {
  const owners = [...blockages.suspects];
  if (owners.length > OWNERS_AT_ONCE) {
    const take = blockages.beginReading();
    take(await readBlockages(db));
    return;
  }
  for (const owner of owners) {
    const take = blockages.beginReading(owner);
    take(await readBlockages(db, owner));
  }
}
