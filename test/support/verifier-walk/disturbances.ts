/*
 * What can happen to verifiers and their database. Each tells the oracle for how long a verifier may get no answer.
 */
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { ProxyMode } from "../proxy.ts";
import { END_BY_HOLDER, OPERATIONS, type Operation } from "./operations.ts";
import type { WalkingVerifier } from "./program.ts";
import { nowMs, type VerifierWorld } from "./world.ts";

/** How long a fault lasts, in ms: shorter than an outage may be, and longer. */
const LASTING = [300, 1_000, 2_500, 7_000] as const;

/** Lets the oracle know of a disturbance while the work lasts. */
async function disturbing(
  { oracle }: VerifierWorld,
  verifiers: readonly WalkingVerifier[],
  work: () => Promise<void>,
): Promise<void> {
  const ends = verifiers.map(({ name }) => oracle.disturb(name, nowMs()));
  await work();
  for (const end of ends) end(nowMs());
}

/** Changes of tokens while a fault lasts. The server must answer to the test. */
async function changeMeanwhile(world: VerifierWorld, ms: number): Promise<string[]> {
  const done: string[] = [];
  const endsAtMs = nowMs() + ms;
  for (const isQuiet = world.random.chance(30); !isQuiet && nowMs() < endsAtMs; await world.pass(200)) {
    done.push(await pickOperation(world)(world));
  }
  await world.pass(Math.max(0, endsAtMs - nowMs()));
  return done;
}

/** One of the operations that need no verifier. */
function pickOperation({ random }: VerifierWorld): Operation {
  return random.pick(OPERATIONS.filter(([, operation]) => operation !== END_BY_HOLDER))[1];
}

const describe = (what: string, done: readonly string[]) =>
  done.length === 0 ? what : `${what}; meanwhile ${done.join(", ")}`;

/** Changes are not heard, but the database answers: answers may not be older than ever. */
async function cutListening(world: VerifierWorld): Promise<string> {
  await runAsSuperuser(
    world.databaseUrl,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name like 'verifier/%' and query like '%missed_notifications%'`,
  );
  return describe("cut the connections that listen", await changeMeanwhile(world, 300));
}

async function cutAll(world: VerifierWorld): Promise<string> {
  await disturbing(world, world.verifiers, async () => {
    await runAsSuperuser(
      world.databaseUrl,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'verifier/%'",
    );
  });
  return "cut all connections";
}

/** The network between one verifier and the database fails; connections that have lost bytes are reset afterwards. */
const failNetwork =
  (mode: ProxyMode): Operation =>
  async (world) => {
    const verifier = world.random.pick(world.verifiers);
    const ms = world.random.pick(LASTING);
    let done: string[] = [];
    await disturbing(world, [verifier], async () => {
      await verifier.network.setMode(mode);
      done = await changeMeanwhile(world, ms);
      await verifier.network.setMode({ kind: "pass" });
      verifier.network.reset();
    });
    return describe(`the network of ${verifier.name} is in mode ${mode.kind} for ${ms} ms`, done);
  };

async function freeze(world: VerifierWorld): Promise<string> {
  const ms = world.random.pick(LASTING);
  await disturbing(world, world.verifiers, async () => {
    world.signalServer("SIGSTOP");
    try {
      await world.pass(ms);
    } finally {
      world.signalServer("SIGCONT");
    }
  });
  return `freeze the database for ${ms} ms`;
}

async function stopDatabase(world: VerifierWorld): Promise<string> {
  const ms = world.random.pick(LASTING);
  await disturbing(world, world.verifiers, async () => {
    await world.server.pause();
    await world.pass(ms);
    await world.server.resume();
  });
  return `stop the database for ${ms} ms`;
}

/** A verifier ends in an outage, and its successor has only the snapshot. */
async function restartInOutage(world: VerifierWorld): Promise<string> {
  const verifier = world.random.pick(world.verifiers);
  const signal = world.random.pick(["SIGTERM", "SIGKILL"] as const);
  const ms = world.random.pick([1_500, 3_000, 7_000]);
  let done: string[] = [];
  await disturbing(world, [verifier], async () => {
    await verifier.network.setMode({ kind: "refuse" });
    await verifier.stop(signal);
    verifier.start();
    done = await changeMeanwhile(world, ms);
    await verifier.network.setMode({ kind: "pass" });
  });
  return describe(`${signal} for ${verifier.name} in an outage of ${ms} ms`, done);
}

async function restart(world: VerifierWorld): Promise<string> {
  const verifier = world.random.pick(world.verifiers);
  await disturbing(world, [verifier], async () => {
    await verifier.stop(world.random.pick(["SIGTERM", "SIGKILL"] as const));
    verifier.start();
  });
  return `restart ${verifier.name}`;
}

export const DISTURBANCES: readonly Operation[] = [
  cutListening,
  cutAll,
  failNetwork({ kind: "refuse" }),
  failNetwork({ kind: "stall" }),
  failNetwork({ kind: "delay", ms: 300 }),
  freeze,
  stopDatabase,
  restartInOutage,
  restart,
];
