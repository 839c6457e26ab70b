import { randomInt } from "node:crypto";
import { openDatabase } from "../../../src/postgres/database.ts";
import { connectCluster } from "../../support/cluster.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { createClusterResources } from "../../support/policies.ts";
import { createMemory } from "../../support/random-walk/memory.ts";
import { operate } from "../../support/random-walk/operations.ts";
import { createRandom } from "../../support/random-walk/random.ts";
import { remember } from "../../support/random-walk/remember.ts";
import { PATIENCE_MS, type Replicas, startReplicas } from "../../support/random-walk/replicas.ts";
import { expectSafety } from "../../support/random-walk/safety.ts";
import { readScene } from "../../support/random-walk/scene.ts";
import { expectSettled } from "../../support/random-walk/settled.ts";
import { describeScene, type Walk } from "../../support/random-walk/world.ts";

const OPERATION_COUNT = 300;
const OPERATIONS_BETWEEN_LOOKS = 25;

/** WALK_SEED repeats one walk; WALK_COUNT takes that many new ones. */
const { WALK_SEED, WALK_COUNT = "1" } = process.env;
const seeds =
  WALK_SEED === undefined ? Array.from({ length: Number(WALK_COUNT) }, () => randomInt(2 ** 31)) : [Number(WALK_SEED)];

// Its own API server, because blocks, policies and webhooks are cluster-scoped.
test.for(seeds)(
  "after any operations, once the controllers have done what they can, all promises hold (WALK_SEED=%i)",
  { timeout: 900_000 },
  async (seed, { controlPlane }) => {
    const cluster = await connectCluster(controlPlane.kubeconfigPath);
    const resources = createClusterResources(cluster);
    const databaseUrl = await createTestDatabase();
    const db = openDatabase({ url: databaseUrl, actor: "walk", maxConnections: 2 });
    const walk: Walk = {
      ...{ cluster, resources, databaseUrl, db, random: createRandom(seed), memory: createMemory() },
      ...{ foreign: new Map(), policies: new Map(), blocks: new Map(), obstacles: new Map() },
    };
    const replicas = await startReplicas(walk);
    try {
      await wander(walk, replicas);
    } finally {
      await replicas.stop();
      for (const clear of walk.obstacles.values()) await clear();
      await Promise.all([resources.clear(), db.close()]);
      await cluster.close();
    }
  },
);

async function wander(walk: Walk, replicas: Replicas): Promise<void> {
  const log: string[] = [];
  try {
    await replicas.untilIdle(); // so there is a keyring, as in every installation
    for (let step = 1; step <= OPERATION_COUNT; step += 1) {
      log.push(`${step}. ${await operate(walk)}`);
      const disturbance = await replicas.disturb();
      if (disturbance !== undefined) log.push(`   (${disturbance})`);
      await remember(walk);
      if (step % OPERATIONS_BETWEEN_LOOKS !== 0) continue;
      await lookAround(walk, replicas);
      log.push("   (all as it should be)");
    }
  } catch (error) {
    throw new Error(`failed after:\n${log.join("\n")}\n${await describeScene(walk)}`, { cause: error });
  }
}

async function lookAround(walk: Walk, replicas: Replicas): Promise<void> {
  const { obstacles } = walk;
  if (obstacles.size > 0) {
    await eventually(
      async () => {
        await replicas.untilIdle();
        await remember(walk);
        await expectSafety(await readScene(walk));
      },
      { timeoutMs: PATIENCE_MS, intervalMs: 50 },
    );
    for (const clear of obstacles.values()) await clear();
    obstacles.clear();
  }
  await replicas.untilQuiet(async () => {
    await remember(walk);
    const scene = await readScene(walk);
    await expectSafety(scene);
    expectSettled(scene);
  });
}
