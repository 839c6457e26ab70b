/*
 * Keeps memory true: reads everything when listening begins, takes in what is heard, and says when memory counts.
 */
import type { Database } from "../../postgres/database.ts";
import { findTokens, readAcceptedTokens, readBlockages } from "../../postgres/verification.ts";
import type { Logger } from "../../runtime/log.ts";
import { pause } from "../../runtime/signals.ts";
import type { VerifierClock } from "../clock.ts";
import type { Blockages } from "./blockages.ts";
import { listenForEverything } from "./feed.ts";
import type { TokenMemory } from "./memory.ts";
import type { Prover } from "./prover.ts";
import type { Truth } from "./truth.ts";

export interface KeeperOptions {
  readonly db: Database;
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly prover: Prover;
  readonly clock: VerifierClock;
  readonly log: Logger;
  /** How many tokens are kept. */
  readonly limit: number;
  readonly pulseMs: number;
  /** Everything has been read. */
  readonly onComplete: () => void;
  readonly onHeard: () => void;
  /** Changes are not heard, because of this error. */
  readonly onLost: (error: unknown) => void;
}

const PAGE = 2_000;
const RETRY_MS = 500;

/** How many tokens that were heard of are read in one statement. */
const NEWS_AT_ONCE = 500;

/** However good notifications are, everything is read again this often. */
const READ_EVERY_MS = 600_000;

/** The most owners whose blocks are read one by one; beyond that all blocks are read at once. */
const OWNERS_AT_ONCE = 20;

/** Keeps memory true until the signal. Throws a SessionLostError if the database's sessions are shared by a pooler. */
export async function keepMemory(options: KeeperOptions, signal: AbortSignal): Promise<void> {
  const { db, memory, blockages, truth, prover, clock, log, pulseMs } = options;
  const reader = createReader(options, signal);
  const timer = setInterval(() => reader.begin(), READ_EVERY_MS);
  try {
    await listenForEverything({
      db,
      pulseMs,
      prover,
      signal,
      handlers: {
        onListening() {
          truth.beginListening();
          reader.begin();
        },
        onProof(sentAtMs, databaseNow) {
          clock.set(databaseNow, sentAtMs, performance.now());
          truth.prove(sentAtMs);
          prover.prove(sentAtMs);
          options.onHeard();
        },
        onTokenChange(id) {
          memory.hearChange(id);
          if (memory.listNews(1).length > 0) reader.readNews();
        },
        onBlockChange(owner) {
          blockages.hearChange(owner);
          memory.hearBlockChange(owner);
          reader.readBlocks();
        },
        onEverything() {
          truth.beginListening();
          reader.begin();
        },
        onLost(error) {
          truth.lose();
          options.onLost(error);
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
type Part = "blocks" | "everything" | "news";

/** Reads what is wanted, one reading after the other; what cannot be read is tried again. */
function createReader(options: KeeperOptions, signal: AbortSignal) {
  const wanted = new Set<Part>();
  let work: Promise<void> | undefined;

  const read = (part: Part) => {
    if (part === "blocks") return readSuspectBlocks(options);
    if (part === "news") return readNews(options);
    return readEverything(options, () => wanted.has("everything") || signal.aborted);
  };
  const run = async () => {
    for (let [part] = wanted; part !== undefined && !signal.aborted; [part] = wanted) {
      wanted.delete(part);
      try {
        await read(part);
        // Last of all, so that however much is notified, everything else has its turn.
        if (part === "news" && options.memory.listNews(1).length > 0) wanted.add("news");
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
  return {
    begin() {
      want("everything");
      want("news");
    },
    readBlocks: () => want("blocks"),
    readNews: () => want("news"),
    stop: async () => work,
  };
}

async function readEverything(options: KeeperOptions, isObsolete: () => boolean): Promise<void> {
  const { db, memory, blockages, truth, clock, limit } = options;
  const beganAtMs = performance.now();
  const takeBlocks = blockages.beginReading();
  takeBlocks(await readBlockages(db));
  const reading = memory.beginReading();
  try {
    let after = "";
    let hadRoom = false;
    // One more than there is room for, to learn whether that was all.
    for (let kept = 0; kept <= limit && !hadRoom; kept += PAGE) {
      const size = Math.min(PAGE, limit + 1 - kept);
      const askedAtMs = performance.now();
      const { now, items } = await readAcceptedTokens(db, after, size);
      clock.set(now, askedAtMs, performance.now());
      if (isObsolete()) return;
      for (const token of items.slice(0, limit - kept)) reading.keep(token, now.getTime());
      after = items.at(-1)?.id ?? "";
      hadRoom = items.length < size;
    }
    reading.wasComplete(hadRoom);
    truth.completeReading(beganAtMs);
    options.onComplete();
  } finally {
    reading.end();
  }
}

/** Reads tokens that were heard of: those that were just issued or changed are known even if nobody uses them before an outage. */
async function readNews({ db, memory, clock }: KeeperOptions): Promise<void> {
  const ids = memory.listNews(NEWS_AT_ONCE);
  if (ids.length === 0) return;
  const reading = memory.beginReading();
  try {
    const askedAtMs = performance.now();
    const { now, items } = await findTokens(db, ids);
    clock.set(now, askedAtMs, performance.now());
    const found = new Map(items.map(({ token }) => [token.id, token]));
    for (const id of ids) {
      const token = found.get(id);
      if (token === undefined) reading.forget(id);
      else reading.keep(token, now.getTime());
    }
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
