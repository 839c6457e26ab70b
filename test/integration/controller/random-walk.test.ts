import { randomInt } from "node:crypto";
import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { isIdle, readMetric, startTestController, type TestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap, type WriteTap } from "../../support/faults.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { createClusterResources } from "../../support/policies.ts";
import { expectInvariants } from "../../support/random-walk/invariants.ts";
import { OPERATIONS } from "../../support/random-walk/operations.ts";
import { createRandom } from "../../support/random-walk/random.ts";
import { describeScene, isPassedBy, listTokens, type Walk } from "../../support/random-walk/world.ts";

const OPERATION_COUNT = 300;
const OPERATIONS_BETWEEN_LOOKS = 25;
/** A controller that should crash does so at one of its first writes. */
const LATEST_CRASH = 40;

const seed = Number(process.env.WALK_SEED ?? randomInt(2 ** 31));

// Its own API server, because blocks and policies are cluster-scoped.
test("after any operations, once the controller is idle, all invariants hold", async ({ cluster, databaseUrl }) => {
  const random = createRandom(seed);
  const resources = createClusterResources(cluster);
  const walk: Walk = {
    ...{ cluster, resources, databaseUrl, random },
    ...{ foreign: new Map(), policies: new Map(), blocks: new Map() },
  };
  const log: string[] = [];
  let replica = await startReplica(walk, false);
  try {
    for (let step = 1; step <= OPERATION_COUNT; step += 1) {
      log.push(`${step}. ${await operate(walk)}`);
      if (replica.tap.isDead || random.chance(4)) {
        log.push(replica.tap.isDead ? "   (the controller had crashed)" : "   (the controller is stopped)");
        await replica.controller.stop();
        replica = await startReplica(walk, random.chance(60));
      }
      if (step % OPERATIONS_BETWEEN_LOOKS !== 0) continue;
      replica = await untilQuiet(walk, replica);
      log.push("   (all as it should be)");
    }
  } catch (error) {
    throw new Error(`WALK_SEED=${seed} failed after:\n${log.join("\n")}\n${await describeScene(walk)}`, {
      cause: error,
    });
  } finally {
    await replica.controller.stop();
  }
}, 180_000);

async function operate(walk: Walk): Promise<string> {
  const total = OPERATIONS.reduce((sum, [, weight]) => sum + weight, 0);
  let ticket = walk.random.below(total);
  for (const [sentence, weight, operation] of OPERATIONS) {
    ticket -= weight;
    if (ticket >= 0) continue;
    try {
      return `${sentence}: ${await operation(walk)}`;
    } catch (error) {
      if (!isPassedBy(error)) throw error;
      return `${sentence}: not now`;
    }
  }
  throw new Error("the weights do not add up");
}

interface Replica {
  readonly controller: TestController;
  readonly tap: WriteTap;
}

/** Always with the same identity, so that a crashed controller's successor need not wait for the lease to expire. */
async function startReplica({ cluster, databaseUrl, random }: Walk, mustCrash: boolean): Promise<Replica> {
  const tap = mustCrash ? createWriteTap({ fault: "crash", write: 1 + random.below(LATEST_CRASH) }) : createWriteTap();
  const controller = await startTestController(cluster, databaseUrl, { identity: "replica", ...tap });
  return { controller, tap };
}

/** Waits until passes over everything change nothing and all invariants hold. Crashes end here. */
async function untilQuiet(walk: Walk, before: Replica): Promise<Replica> {
  let replica = before;
  await eventually(
    async () => {
      if (replica.tap.isDead) {
        await replica.controller.stop();
        replica = await startReplica(walk, false);
      }
      const { controller, tap } = replica;
      const countPasses = () => readMetric(controller, 'apitoken_reconcile_total{result="converged"}');
      await eventually(() => tap.isDead || isIdle(controller));
      const [count, passes, writes] = [(await listTokens(walk)).length, await countPasses(), tap.writes.length];
      await runAsSuperuser(walk.databaseUrl, "select pg_notify('apitoken_changed', 'everything')");
      await eventually(async () => tap.isDead || (await countPasses()) >= passes + count, { timeoutMs: 5_000 });
      await eventually(() => tap.isDead || isIdle(controller));
      expect(tap.isDead).toBe(false);
      expect(tap.writes.slice(writes)).toEqual([]);
      await expectInvariants(walk);
    },
    { timeoutMs: 20_000, intervalMs: 50 },
  );
  return replica;
}
