import pg from "pg";
import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { Database } from "../../../src/postgres/database.ts";
import { connectCluster, type TestCluster } from "../../support/cluster.ts";
import { isIdle, readMetric, startTestController } from "../../support/controllers.ts";
import { findRows } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest } from "../../support/fixtures.ts";
import { type ClusterResources, createClusterResources } from "../../support/policies.ts";
import { untilReady, untilReason } from "../../support/resources.ts";

/* A crowd of ApiTokens in one namespace; what happens elsewhere must not wait for it. */

/** Holds the lock of an owner as a stuck session would, until it is told to stop. */
async function lockOwner(databaseUrl: string, owner: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: "stuck" });
  await client.connect();
  await client.query("begin");
  await client.query("select apitoken.lock_owner($1)", [owner]);
  let ended: Promise<void> | undefined;
  return () => (ended ??= client.end());
}

/** Holds statements of one name before they are sent, so that the workers that send them are busy for as long as it takes. */
interface Barrier {
  hold(name: string): void;
  release(): void;
  /** How many statements are being held. */
  readonly held: number;
  /** The names of the ApiTokens for which tokens were issued, in order. */
  readonly issued: readonly string[];
  wrapDatabase(db: Database): Database;
}

function createBarrier(): Barrier {
  const issued: string[] = [];
  let heldName: string | undefined;
  let opening = Promise.withResolvers<void>();
  let held = 0;
  return {
    hold(name) {
      heldName = name;
      opening = Promise.withResolvers();
    },
    release() {
      heldName = undefined;
      opening.resolve();
    },
    get held() {
      return held;
    },
    issued,
    wrapDatabase: (db) => ({
      ...db,
      get usage() {
        return db.usage;
      },
      async query(statement) {
        if (heldName !== undefined && statement.name === heldName) {
          held += 1;
          await opening.promise;
          held -= 1;
        }
        if (statement.name === "issue-token") issued.push(JSON.parse(String(statement.values?.[1])).name);
        return db.query(statement);
      },
    }),
  };
}

/** More than the controller handles at once, of issues and ends together. */
const CROWD = 60;
const CONCURRENCY = 16;

const test = clusterTest
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("elsewhere", { scope: "file" }, async ({}, { onCleanup }) => {
    const cluster = await connectCluster();
    onCleanup(() => cluster.close());
    return cluster;
  })
  .extend("resourcesElsewhere", async ({ elsewhere }, { onCleanup }) => {
    const resources = createClusterResources(elsewhere);
    onCleanup(() => resources.clear());
    return resources;
  })
  .extend("barrier", { scope: "file" }, () => createBarrier())
  .extend("hold", async ({ barrier }, { onCleanup }) => {
    onCleanup(() => barrier.release());
    return barrier.hold;
  })
  .extend(
    "controller",
    { scope: "file", auto: true },
    async ({ cluster, elsewhere, databaseUrl, barrier }, { onCleanup }) => {
      const controller = await startTestController(cluster, databaseUrl, {
        settings: {
          APITOKEN_WATCH_NAMESPACES: `${cluster.namespace},${elsewhere.namespace}`,
          APITOKEN_CONCURRENCY: String(CONCURRENCY),
        },
        wrapDatabase: barrier.wrapDatabase,
      });
      onCleanup(() => controller.stop());
      return controller;
    },
  );

const ownerOf = ({ namespace }: TestCluster, name: string) => `${namespace}/${name}`;

const apply = (cluster: TestCluster, name: string, owner = ownerOf(cluster, name)) => cluster.apply(name, { owner });

async function applyCrowd(cluster: TestCluster, prefix: string, owner?: string, size = CROWD): Promise<string[]> {
  const names = Array.from({ length: size }, (_, index) => `${prefix}-${index}`);
  await Promise.all(names.map((name) => apply(cluster, name, owner)));
  return names;
}

const untilAllReady = (cluster: TestCluster, names: readonly string[]) =>
  Promise.all(names.map((name) => untilReady(cluster, name, 45_000)));

interface Parts {
  readonly cluster: TestCluster;
  readonly elsewhere: TestCluster;
  readonly resources: ClusterResources;
  readonly resourcesElsewhere: ClusterResources;
}

describe("while every worker that issues is busy and more ApiTokens wait for one,", () => {
  test.for<[string, string, string, (parts: Parts, name: string) => Promise<unknown>]>([
    ["a revocation", "revoked", "RevokedBySpec", ({ elsewhere }, name) => elsewhere.patch(name, { revoked: true })],
    ["a deletion", "deleted", "ResourceDeleted", ({ elsewhere }, name) => elsewhere.delete(name)],
    [
      "a block of the owner",
      "blocked",
      "OwnerBlocked",
      ({ resources, elsewhere }, name) => resources.applyBlock("leaver", { owner: ownerOf(elsewhere, name) }),
    ],
    [
      "a policy that denies",
      "denied",
      "PolicyDenied",
      ({ resourcesElsewhere }) => resourcesElsewhere.applyPolicy("closed", { owners: ["nobody"] }),
    ],
  ])(
    "%s is carried out completely",
    async ([, how, reason, end], { cluster, elsewhere, resources, resourcesElsewhere, databaseUrl, barrier, hold }) => {
      await apply(elsewhere, how);
      await untilReady(elsewhere, how);
      const issuedBefore = barrier.issued.length;
      hold("issue-token");
      const crowd = await applyCrowd(cluster, `crowd-${how}`);
      await eventually(() => barrier.held === CONCURRENCY);

      await end({ cluster, elsewhere, resources, resourcesElsewhere }, how);
      await eventually(async () => {
        expect(await findRows(databaseUrl, how)).toMatchObject([{ is_live: false, revocation_reason: reason }]);
        expect(await elsewhere.getSecret(how)).toBeUndefined();
      });
      expect(barrier.issued.length).toBe(issuedBefore);
      barrier.release();
      await untilAllReady(cluster, crowd);
    },
  );
});

test("the ApiToken of another namespace does not wait for all that were there first", async ({
  cluster,
  elsewhere,
  barrier,
  hold,
}) => {
  hold("issue-token");
  const crowd = await applyCrowd(cluster, "first");
  await eventually(() => barrier.held === CONCURRENCY);
  const before = barrier.issued.length;
  await apply(elsewhere, "second");
  await eventually(() => barrier.held === CONCURRENCY);
  barrier.release();
  await untilAllReady(cluster, crowd);
  await untilReady(elsewhere, "second");
  // Those that had a worker already, and then its turn is the next or the one after.
  expect(barrier.issued.indexOf("second") - before).toBeLessThanOrEqual(2 * CONCURRENCY);
});

test("a flood of deletions leaves workers that issue", async ({ cluster, elsewhere, barrier, hold }) => {
  const crowd = await applyCrowd(cluster, "flood");
  await untilAllReady(cluster, crowd);
  hold("revoke-tokens");
  await Promise.all(crowd.map((name) => cluster.delete(name)));
  await eventually(() => barrier.held === CONCURRENCY);
  await apply(elsewhere, "newcomer");
  await untilReady(elsewhere, "newcomer");
  expect(barrier.held).toBe(CONCURRENCY);
  barrier.release();
  await eventually(async () => {
    for (const name of crowd) expect(await cluster.get(name)).toBeUndefined();
  });
});

test("a stricter policy's limit is enforced as soon as another namespace issues, and costs one pass for what is over it", async ({
  cluster,
  elsewhere,
  resources,
  resourcesElsewhere,
  controller,
}) => {
  const owner = ownerOf(cluster, "shared");
  await resources.applyPolicy("generous", { owners: ["*"], maxTokensPerOwner: 50 });
  await resourcesElsewhere.applyPolicy("strict", { owners: ["*"], maxTokensPerOwner: 2 });
  for (const name of ["oldest", "middle"]) {
    await apply(elsewhere, name, owner);
    await untilReady(elsewhere, name);
  }
  const passes = () => readMetric(controller, "apitoken_reconcile_duration_seconds_count");
  await eventually(() => isIdle(controller));
  const before = await passes();
  const names = await applyCrowd(cluster, "newer", owner, 20);
  await untilAllReady(cluster, names);
  for (const name of ["oldest", "middle"]) await untilReason(elsewhere, name, "Superseded");
  await eventually(() => isIdle(controller));
  // A pass or two for each new one and for its notification, not one for every other of the owner.
  expect((await passes()) - before).toBeLessThanOrEqual(20 * 4);
});

describe("while somebody holds the lock of an owner with many ApiTokens that wait,", () => {
  test("others in the same namespace get theirs, and the owner's follow as soon as the lock is free", async ({
    cluster,
    databaseUrl,
    resources,
    barrier,
    onTestFinished,
  }) => {
    await resources.applyPolicy("roomy", { owners: ["*"], maxTokensPerOwner: 2 * CROWD });
    const unlock = await lockOwner(databaseUrl, "stuck");
    onTestFinished(unlock);
    const before = barrier.issued.length;
    const crowd = await applyCrowd(cluster, "stuck", "stuck");
    const attempts = () => barrier.issued.slice(before).filter((name) => name.startsWith("stuck-")).length;
    await eventually(() => attempts() > 0);

    const waiters: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      await apply(cluster, `unrelated-${index}`);
      await untilReady(cluster, `unrelated-${index}`, 5_000);
      waiters.push(await countLockWaits(databaseUrl));
    }
    expect(Math.max(...waiters)).toBeLessThanOrEqual(2);
    expect(attempts()).toBeLessThan(crowd.length / 2);
    expect(await Promise.all(crowd.map((name) => findRows(databaseUrl, name)))).toEqual(crowd.map(() => []));

    await unlock();
    await Promise.all(crowd.map((name) => untilReady(cluster, name, 15_000)));
  });
});

/** How many sessions of this database wait for a lock now. */
async function countLockWaits(databaseUrl: string): Promise<number> {
  const rows = await runAsSuperuser(
    databaseUrl,
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows.length;
}
