/*
 * What a verifier knows: the tokens and blocks in memory, how old that is, and how it asks for the rest.
 */
import type { Database, DatabaseLogin, Queryable } from "../postgres/database.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import type { Logger } from "../runtime/log.ts";
import { pause, unlessAborted } from "../runtime/signals.ts";
import type { Keyring } from "../token/keyring.ts";
import { createVerifierClock, type VerifierClock } from "./clock.ts";
import { type Blockages, createBlockages } from "./memory/blockages.ts";
import { createFinder, type Finder } from "./memory/finder.ts";
import { keepMemory } from "./memory/keeper.ts";
import { createTokenMemory, type TokenMemory } from "./memory/memory.ts";
import { createProver, type Prover } from "./memory/prover.ts";
import { createSpotChecks, type SpotChecks } from "./memory/spot-checks.ts";
import { createTruth, type Truth, type TruthLimits } from "./memory/truth.ts";
import { readMachineClock } from "./snapshot/machine-clock.ts";
import { createSnapshots, nameDatabase, type Snapshots } from "./snapshot/snapshots.ts";

export interface Knowledge {
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly prover: Prover;
  readonly clock: VerifierClock;
  readonly finder: Finder;
  readonly snapshots: Snapshots;
  readonly spotChecks: SpotChecks;
  readonly isDatabaseAvailable: boolean;
  /** Resolves when everything has been read for the first time. */
  readonly ready: Promise<void>;
  /** Keeps all of it true until the signal. Throws what no retry fixes: a wrong schema, or a SessionLostError. */
  keep(signal: AbortSignal): Promise<void>;
}

export interface KnowledgeOptions extends TruthLimits {
  readonly db: Database;
  /** How many tokens are kept in memory. */
  readonly cacheRows: number;
  readonly log: Logger;
  readonly databaseLogin: DatabaseLogin;
  /** Where snapshots are kept; undefined: nowhere. */
  readonly snapshotFolder: string | undefined;
  readonly keyring: () => Keyring;
  /** The database is asked about tokens. */
  readonly onStatement: () => void;
  /** A token's row had changed, and nothing was heard of it. */
  readonly onMissedChange: () => void;
}

/** How many pulses fit into the time that memory counts without one. */
const PULSES_PER_LOSS = 3;

/** Envoy gives up after 200 ms. */
const PATIENCE_MS = 150;

const SCHEMA_RETRY_MS = 500;

/** Begins with nothing known. */
export function createKnowledge(options: KnowledgeOptions): Knowledge {
  const { db, cacheRows, log, onStatement } = options;
  const memory = createTokenMemory(cacheRows);
  const blockages = createBlockages();
  const truth = createTruth(options);
  const prover = createProver(PATIENCE_MS);
  const clock = createVerifierClock();
  const finder = createFinder({
    db,
    memory,
    clock,
    patienceMs: PATIENCE_MS,
    onStatement,
    onFailure: (error) => log.debug({ err: error }, "tokens could not be looked up"),
  });
  const snapshots = createSnapshots({
    folder: options.snapshotFolder,
    keyring: options.keyring,
    memory,
    blockages,
    truth,
    clock,
    machine: readMachineClock(),
    database: nameDatabase(options.databaseLogin.url),
    outageMs: options.outageMs,
    log,
  });
  const spotChecks = createSpotChecks({ ...options, memory, blockages, truth, prover });
  const ready = Promise.withResolvers<void>();
  let isDatabaseAvailable = false;
  const keeper = {
    db,
    memory,
    blockages,
    truth,
    prover,
    clock,
    log,
    limit: cacheRows,
    pulseMs: options.staleAfterMs / PULSES_PER_LOSS,
    onComplete: () => ready.resolve(),
    onHeard() {
      isDatabaseAvailable = true;
    },
    onLost(error: unknown) {
      // One that refuses something has answered.
      isDatabaseAvailable = !(error instanceof DatabaseUnavailableError);
    },
  };
  return {
    memory,
    blockages,
    truth,
    prover,
    clock,
    finder,
    snapshots,
    spotChecks,
    ready: ready.promise,
    get isDatabaseAvailable() {
      return isDatabaseAvailable;
    },
    async keep(signal) {
      await snapshots.restore();
      await waitForSchema(db, log, signal);
      await Promise.all([keepMemory(keeper, signal), snapshots.keep(signal), spotChecks.keep(signal)]);
    },
  };
}

/** The schema is checked once the database is there; until then the verifier waits, as it would in an outage. */
async function waitForSchema(db: Queryable, log: Logger, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await unlessAborted(requireSchema(db), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof DatabaseUnavailableError)) throw error;
      log.warn({ err: error }, "the database is not there yet; trying again");
      await pause(SCHEMA_RETRY_MS, signal);
    }
  }
}
