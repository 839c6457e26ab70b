/*
 * The world of the verifiers' random walk: a Postgres of its own, which can be frozen and stopped, two verifiers whose clocks are an
 * hour wrong, and an oracle that learns of every change.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { type PostgresServer, runAsSuperuser, startPostgres } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { createKeyring, type Keyring } from "../../../src/token/keyring.ts";
import { eventually } from "../eventually.ts";
import type { Random } from "../random-walk/random.ts";
import { type Bounds, createOracle, type ModelToken, type Observation, type Oracle, SLOW_MS } from "./oracle.ts";
import { keepAsking, startWalkingVerifier, type WalkingVerifier } from "./program.ts";

export const BOUNDS: Bounds = { staleMs: 1_000, outageMs: 5_000 };
const HOUR_MS = 3_600_000;

/** Everything that an operation can change. */
export interface VerifierWorld {
  readonly random: Random;
  readonly server: PostgresServer;
  readonly databaseUrl: string;
  readonly oracle: Oracle;
  readonly verifiers: readonly [WalkingVerifier, WalkingVerifier];
  readonly tokens: ModelToken[];
  /** The keyring with which new tokens are made. */
  keyring: Keyring;
  /** Lets time pass, in which the verifiers are asked. */
  pass(ms: number): Promise<void>;
  /** Stops or continues every process of the server. */
  signalServer(signal: "SIGSTOP" | "SIGCONT"): void;
  /** What the verifiers have answered since the last call. */
  takeObservations(): Observation[];
  /** Waits until both verifiers hear changes, and answer about every token as is right now. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** The time, as the server on the same machine has it. */
export const nowMs = () => performance.timeOrigin + performance.now();

/** How many requests a verifier has to answer at once. */
const ASKERS = 3;

/** Starts everything; nothing has been done yet. */
export async function createVerifierWorld(random: Random): Promise<VerifierWorld> {
  const server = await startPostgres();
  const databaseUrl = await server.createDatabase("walk");
  await migrate({ url: databaseUrl });
  const keyring = createKeyring();
  const common = { databaseUrl, keyring, bounds: BOUNDS };
  const verifiers = await Promise.all([
    startWalkingVerifier({ ...common, name: "early", clockShiftMs: -HOUR_MS }),
    startWalkingVerifier({ ...common, name: "late", clockShiftMs: HOUR_MS }),
  ]);
  const tokens: ModelToken[] = [];
  const oracle = createOracle(BOUNDS);
  let observations: Observation[] = [];
  const end = new AbortController();

  const observe = (verifier: WalkingVerifier) => async () => {
    const token = tokens.length === 0 ? undefined : tokens[Math.floor(Math.random() * tokens.length)];
    if (token === undefined) return;
    const askedAtMs = nowMs();
    const status = await verifier.ask(token.plaintext);
    if (status === undefined) return;
    observations.push({ verifier: verifier.name, token, askedAtMs, answeredAtMs: nowMs(), status });
  };
  /** A busy machine may be too slow for a verifier to be answered in its time. */
  const watchServer = async () => {
    const askedAtMs = nowMs();
    await runAsSuperuser(databaseUrl, "select").catch(() => {});
    if (nowMs() - askedAtMs < SLOW_MS) return;
    for (const { name } of verifiers) oracle.disturb(name, askedAtMs)(nowMs());
  };
  const asking = [
    keepAsking(end.signal, watchServer, 100),
    ...verifiers.flatMap((verifier) =>
      Array.from({ length: ASKERS }, () => keepAsking(end.signal, observe(verifier), 4)),
    ),
  ];

  return {
    random,
    server,
    databaseUrl,
    oracle,
    verifiers,
    tokens,
    keyring,
    pass: (ms) => delay(ms),
    signalServer(signal) {
      const { pid } = server.process();
      const children = execFileSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" });
      for (const one of [...children.split(/\s+/).filter(Boolean).map(Number), pid]) signalProcess(one, signal);
    },
    takeObservations() {
      const taken = observations;
      observations = [];
      return taken;
    },
    async settle() {
      await Promise.all(verifiers.map((verifier) => eventually(() => verifier.isFresh())));
      for (const verifier of verifiers) {
        for (const token of tokens) await eventually(() => answersRightly(oracle, verifier, token));
      }
    },
    async close() {
      end.abort();
      await Promise.all(asking);
      await Promise.all(verifiers.map((verifier) => verifier.close()));
      await server.stop();
    },
  };
}

/** A backend may have ended a moment ago. */
function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function answersRightly(oracle: Oracle, verifier: WalkingVerifier, token: ModelToken): Promise<boolean> {
  const status = await verifier.ask(token.plaintext);
  const isGood = oracle.isGood(token, nowMs());
  if (isGood === undefined || status === (isGood ? 200 : 401)) return true;
  throw new Error(`${verifier.name} answers ${status} about ${token.id}, which is ${isGood ? "good" : "dead"}`);
}
