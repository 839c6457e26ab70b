/*
 * The controllers of a random walk: two replicas, of which one leads. They are stopped and started as a rolling update does it,
 * they crash between two writes, and they are frozen and wake up when the other one leads.
 */
import { expect } from "vitest";
import type { KubeTransport } from "../../../src/kube/transport.ts";
import type { Database } from "../../../src/postgres/database.ts";
import { isIdle, readMetric, startTestController, type TestController } from "../controllers.ts";
import { eventually } from "../eventually.ts";
import { createWriteTap, type WriteTap } from "../faults.ts";
import { listTokens, type Walk } from "./world.ts";

/** A controller that should crash does so at one of its first writes. */
const LATEST_CRASH = 40;

/** Much longer than the controllers take on an idle machine: what a walk looks for is wrong however long one waits. */
export const PATIENCE_MS = 60_000;

/**
 * Short, because the next leader has to wait for the lease of one that has crashed; but a renewal may take two retry periods, so
 * that a busy machine does not end every term, after which all that failed is tried again.
 */
const LEASE = {
  APITOKEN_LEASE_DURATION: "3s",
  APITOKEN_LEASE_RENEW_DEADLINE: "2500ms",
  APITOKEN_LEASE_RETRY_PERIOD: "500ms",
};

interface Replica {
  readonly controller: TestController;
  readonly tap: WriteTap;
  readonly gate: Gate;
}

export interface Replicas {
  /** Disturbs one of the replicas, rarely; returns in which way. */
  disturb(): Promise<string | undefined>;
  /** Starts what has crashed again and wakes what is frozen, and resolves when one of them leads and has nothing to do. */
  untilIdle(): Promise<void>;
  /** Waits until passes over everything have changed nothing; crashes end here. Then `check` must not throw. */
  untilQuiet(check: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** Starts two replicas. */
export async function startReplicas(walk: Walk): Promise<Replicas> {
  const { random, db } = walk;
  const names = ["replica-a", "replica-b"];
  const start = (index: number, mustCrash: boolean) => startReplica(walk, names[index] as string, mustCrash);
  const replicas = [await start(0, false), await start(1, false)];

  const replace = async (index: number, mustCrash: boolean) => {
    await stopReplica(replicas[index] as Replica);
    replicas[index] = await start(index, mustCrash);
  };
  const heal = async () => {
    for (const [index, { gate, tap }] of replicas.entries()) {
      gate.thaw();
      if (tap.isDead) await replace(index, false);
    }
  };
  const findLeader = async (): Promise<Replica> => {
    for (const replica of replicas) {
      if (!replica.tap.isDead && (await readMetric(replica.controller, "apitoken_leading")) === 1) return replica;
    }
    throw new Error("no replica leads");
  };
  const untilIdle = () =>
    eventually(
      async () => {
        await heal();
        const leader = await findLeader();
        expect(await isIdle(leader.controller), await describeWork(leader)).toBe(true);
      },
      { timeoutMs: PATIENCE_MS },
    );

  const disturb = async (): Promise<string | undefined> => {
    const index = random.below(2);
    const name = names[index];
    const { gate, tap } = replicas[index] as Replica;
    const choice = random.below(100);
    if (tap.isDead) {
      await replace(index, random.chance(30));
      return `${name} had crashed and starts again`;
    }
    if (choice < 3) {
      await replace(index, random.chance(60));
      return `${name} is stopped and starts again`;
    }
    if (choice >= 4) return undefined;
    replicas[1 - index]?.gate.thaw();
    gate.freeze();
    // Long enough for the other one to lead: only then is it dangerous to wake up.
    await eventually(
      async () => {
        if (replicas[1 - index]?.tap.isDead) await replace(1 - index, false);
        expect(await readMetric((replicas[1 - index] as Replica).controller, "apitoken_leading")).toBe(1);
      },
      { timeoutMs: PATIENCE_MS },
    );
    return `${name} is frozen`;
  };

  const untilQuiet = (check: () => Promise<void>) =>
    eventually(
      async () => {
        await untilIdle();
        const { controller } = await findLeader();
        const countPasses = () => readMetric(controller, 'apitoken_reconcile_total{result="converged"}');
        const countWrites = () => replicas.flatMap(({ tap }) => tap.writes);
        const [tokens, passes, writes] = [(await listTokens(walk)).length, await countPasses(), countWrites()];
        await db.query({ text: "select pg_notify('apitoken_changed', 'everything')" });
        await eventually(async () => expect(await countPasses()).toBeGreaterThanOrEqual(passes + tokens), {
          timeoutMs: PATIENCE_MS / 4,
        });
        await untilIdle();
        expect(countWrites().slice(writes.length)).toEqual([]);
        await check();
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 50 },
    );

  return {
    disturb,
    untilIdle,
    untilQuiet,
    stop: async () => void (await Promise.all(replicas.map(stopReplica))),
  };
}

/** What a leader is busy with, to explain why it does not come to rest. */
async function describeWork({ controller, tap }: Replica): Promise<string> {
  const [depth, busy] = await Promise.all(
    ["apitoken_queue_depth", "apitoken_queue_busy"].map((name) => readMetric(controller, name)),
  );
  const writes = tap.writes.slice(-20).join("\n");
  return `${controller.identity} is idle (${depth} wait, ${busy} are handled; of ${tap.writes.length} writes the last:\n${writes})`;
}

async function startReplica(
  { cluster, databaseUrl, random }: Walk,
  identity: string,
  mustCrash: boolean,
): Promise<Replica> {
  const tap = mustCrash ? createWriteTap({ fault: "crash", write: 1 + random.below(LATEST_CRASH) }) : createWriteTap();
  const gate = createGate();
  const controller = await startTestController(cluster, databaseUrl, {
    identity,
    settings: LEASE,
    wrapTransport: (transport) => gate.wrapTransport(tap.wrapTransport(transport)),
    wrapDatabase: (database) => gate.wrapDatabase(tap.wrapDatabase(database)),
  });
  return { controller, tap, gate };
}

async function stopReplica({ controller, gate }: Replica): Promise<void> {
  gate.thaw();
  await controller.stop();
}

/** Freezes a controller as SIGSTOP would: what it is about to send, and the answers to it, wait until it wakes up. */
interface Gate {
  freeze(): void;
  thaw(): void;
  wrapTransport(transport: KubeTransport): KubeTransport;
  wrapDatabase(database: Database): Database;
}

function createGate(): Gate {
  let barrier: { readonly opened: Promise<void>; readonly open: () => void } | undefined;
  const pass = async <T>(send: () => Promise<T>): Promise<T> => {
    await barrier?.opened;
    try {
      return await send();
    } finally {
      await barrier?.opened;
    }
  };
  return {
    freeze() {
      const { promise, resolve } = Promise.withResolvers<void>();
      barrier ??= { opened: promise, open: resolve };
    },
    thaw() {
      barrier?.open();
      barrier = undefined;
    },
    wrapTransport: (transport) => ({
      ...transport,
      request: (method, path, options) => pass(() => transport.request<never>(method, path, options)),
    }),
    wrapDatabase: (database) => ({
      ...database,
      get usage() {
        return database.usage;
      },
      query: (statement) => pass(() => database.query<never>(statement)),
    }),
  };
}
