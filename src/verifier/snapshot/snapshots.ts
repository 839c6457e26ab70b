/*
 * A verifier that restarts while the database is away knows nothing, and could judge no token. So it may keep a sealed copy of its
 * memory in a folder, and begin with that. A snapshot counts as memory does in an outage: from the moment up to which everything
 * had been heard, for as long as an outage may last, and only while the database does not answer.
 */
import { join } from "node:path";
import type { Logger } from "../../runtime/log.ts";
import { pause } from "../../runtime/signals.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { VerifierClock } from "../clock.ts";
import type { Blockages } from "../memory/blockages.ts";
import type { TokenMemory } from "../memory/memory.ts";
import type { Truth } from "../memory/truth.ts";
import { readSnapshotFile, SnapshotRefusedError, writeSnapshotFile } from "./file.ts";
import {
  formatFacts,
  formatToken,
  joinTokens,
  parseFacts,
  parseTokens,
  type SnapshotFacts,
  type SnapshotToken,
} from "./format.ts";
import type { MachineClock } from "./machine-clock.ts";

export interface SnapshotOptions {
  /** Where snapshots are kept; undefined: nowhere. */
  readonly folder: string | undefined;
  readonly keyring: () => Keyring;
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly clock: VerifierClock;
  readonly machine: MachineClock;
  /** Which database the verifier asks: a snapshot of another one is not for it. */
  readonly database: string;
  /** How old a snapshot may be. */
  readonly outageMs: number;
  readonly log: Logger;
}

/** The snapshots of one verifier. */
export interface Snapshots {
  /** Takes in the last snapshot, if it may still be used. Never rejects. Call it once, before anything is read. */
  restore(): Promise<void>;
  /** Writes snapshots until the signal. */
  keep(signal: AbortSignal): Promise<void>;
  /** Writes the last one. Never rejects. */
  write(): Promise<void>;
  /** How old the last one is, in ms: Infinity if there is none. */
  readonly ageMs: number;
}

const FILE = "memory.snapshot";
export const SNAPSHOT_LIMIT_BYTES = 256 * 1_048_576;
const LONGEST_PAUSE_MS = 60_000;
const SHORTEST_PAUSE_MS = 500;

/** So many characters of tokens are sealed at once. Other work has its turn in between. */
const RECORD_CHARACTERS = 65_536;

const OFF: Snapshots = {
  restore: async () => {},
  keep: async () => {},
  write: async () => {},
  ageMs: Number.POSITIVE_INFINITY,
};

/** Names the database of a URL, without the login. */
export function nameDatabase(url: string): string {
  const { host, pathname, searchParams } = new URL(url);
  return `${searchParams.get("host") ?? host}${pathname}`;
}

/** Keeps the snapshots of one verifier in a folder of its own; does nothing without one. */
export function createSnapshots(options: SnapshotOptions): Snapshots {
  const { folder, keyring, truth, clock, machine, outageMs, log } = options;
  if (folder === undefined) return OFF;
  const path = join(folder, FILE);
  const { startId } = machine;
  if (startId === undefined) {
    log.warn("no snapshots are kept: this machine does not say when it started, so their age could not be known");
    return OFF;
  }
  let writing = Promise.resolve();
  let isFailing = false;
  let trueAtMs = Number.NEGATIVE_INFINITY;

  const writeNow = async () => {
    if (truth.ageMs > outageMs) return;
    const facts = describe(options, startId);
    try {
      const texts = formatAll(facts, options.memory);
      await writeSnapshotFile(path, keyring(), {
        texts,
        now: new Date(clock.nowMs()),
        limitBytes: SNAPSHOT_LIMIT_BYTES,
      });
      trueAtMs = facts.trueAtMachineMs;
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn({ err: error, path }, "the snapshot cannot be written");
      isFailing = true;
    }
  };
  const write = () => {
    writing = writing.then(writeNow);
    return writing;
  };
  return {
    async restore() {
      try {
        await restoreFile(path, startId, options);
      } catch (error) {
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        if (isMissing) log.info({ path }, "there is no snapshot yet");
        else if (error instanceof SnapshotRefusedError)
          log.warn({ path, why: error.message }, "the snapshot is ignored");
        else log.warn({ err: error, path }, "the snapshot is ignored, because it cannot be read");
      }
    },
    async keep(signal) {
      const pauseMs = Math.min(LONGEST_PAUSE_MS, outageMs / 5);
      while (!signal.aborted) {
        const isWorthIt = truth.standing() === "fresh";
        if (isWorthIt) await write();
        await pause(isWorthIt ? Math.max(SHORTEST_PAUSE_MS, pauseMs) : SHORTEST_PAUSE_MS, signal);
      }
    },
    write,
    get ageMs() {
      return machine.nowMs() - trueAtMs;
    },
  };
}

/**
 * The facts at this moment. The blocks are those of the same moment: tokens that are formatted later may have changed since, which
 * only makes them younger than the snapshot says.
 */
function describe({ truth, clock, machine, database, blockages }: SnapshotOptions, startId: string): SnapshotFacts {
  const { ageMs } = truth;
  return {
    startId,
    trueAtMachineMs: machine.nowMs() - ageMs,
    trueAtDatabaseMs: clock.nowMs() - ageMs,
    database,
    blocks: blockages.state,
  };
}

function* formatAll(facts: SnapshotFacts, memory: TokenMemory): Generator<string> {
  yield formatFacts(facts);
  let texts: string[] = [];
  let characters = 0;
  for (const id of memory.ids) {
    const known = memory.get(id);
    if (known === undefined) continue; // it has made room for another one
    const text = formatToken({ row: known, isSuspect: known.isSuspect });
    texts.push(text);
    characters += text.length;
    if (characters < RECORD_CHARACTERS) continue;
    yield joinTokens(texts);
    texts = [];
    characters = 0;
  }
  yield joinTokens(texts);
}

async function restoreFile(path: string, startId: string, options: SnapshotOptions): Promise<void> {
  const { keyring, memory, blockages, truth, clock, machine, outageMs, log } = options;
  const tokens: SnapshotToken[] = [];
  let facts: SnapshotFacts | undefined;
  for await (const text of readSnapshotFile(path, keyring(), SNAPSHOT_LIMIT_BYTES)) {
    if (facts === undefined) facts = requireUsable(parseFacts(text), startId, options);
    else tokens.push(...parseTokens(text));
  }
  if (facts === undefined) throw new SnapshotRefusedError("it is empty");
  const ageMs = machine.nowMs() - facts.trueAtMachineMs;
  if (!clock.isSet) {
    const atMs = performance.now();
    clock.set(new Date(facts.trueAtDatabaseMs + ageMs), atMs, atMs);
  }
  blockages.restore(facts.blocks);
  for (const { row, isSuspect } of tokens) memory.restore(row, facts.trueAtDatabaseMs, isSuspect);
  truth.restore(ageMs);
  log.info(
    { tokens: tokens.length, ageMs: Math.round(ageMs), countsForMs: Math.round(outageMs - ageMs) },
    "the tokens of the snapshot are served until the database answers",
  );
}

/** Throws a SnapshotRefusedError if the snapshot is not of this database, or too old, or if its age is not known. */
function requireUsable(
  facts: SnapshotFacts,
  startId: string,
  { database, machine, outageMs }: SnapshotOptions,
): SnapshotFacts {
  if (facts.database !== database) throw new SnapshotRefusedError("it is of another database");
  if (facts.startId !== startId) {
    throw new SnapshotRefusedError("it is from another machine, or from before this one's last start");
  }
  const ageMs = machine.nowMs() - facts.trueAtMachineMs;
  if (!(ageMs >= 0 && ageMs <= outageMs)) throw new SnapshotRefusedError("it is too old");
  return facts;
}
