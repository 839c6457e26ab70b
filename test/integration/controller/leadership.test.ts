import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readWrites } from "../../support/audit-log.ts";
import { readToken, type TestCluster } from "../../support/cluster.ts";
import { type ControllerProcess, startControllerProcess } from "../../support/controller-process.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { applyMany, untilReady } from "../../support/resources.ts";

let replicas: ControllerProcess[] = [];

test.afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.dispose()));
  replicas = [];
});

const isLeading = async (replica: ControllerProcess) => (await readMetric(replica, "apitoken_leading")) === 1;

/** Starts two replicas; the first leads. */
async function startTwo(
  cluster: TestCluster,
  databaseUrl: string,
  prefix: string,
): Promise<[ControllerProcess, ControllerProcess]> {
  const first = await startControllerProcess(cluster, databaseUrl, `${prefix}-first`);
  replicas.push(first);
  await eventually(() => isLeading(first));
  const second = await startControllerProcess(cluster, databaseUrl, `${prefix}-second`);
  replicas.push(second);
  return [first, second];
}

async function expectAllWell(cluster: TestCluster, databaseUrl: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await untilReady(cluster, name, 30_000);
    const live = (await findRows(databaseUrl, name)).filter((row) => row.is_live);
    expect(live).toHaveLength(1);
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret(name)))).toBe(true);
  }
}

test("one of two replicas leads; a graceful stop hands over within a second", async ({ cluster, databaseUrl }) => {
  const [first, second] = await startTwo(cluster, databaseUrl, "handover");
  expect(await isLeading(second)).toBe(false);
  const startedAtMs = performance.now();
  await first.process.stop("SIGTERM");
  expect(await first.process.ended).toBe(0);
  expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  await eventually(() => isLeading(second), { timeoutMs: 1_500 });
  await cluster.apply("after-handover", { owner: "alice" });
  await expectAllWell(cluster, databaseUrl, ["after-handover"]);
});

test("a leader that is stopped past its lease and comes back writes nothing more", async ({
  cluster,
  databaseUrl,
  controlPlane: { auditLogPath },
}) => {
  const [first, second] = await startTwo(cluster, databaseUrl, "frozen");
  const names = await applyMany(cluster, "burst", 60);
  await eventually(async () => (await findRows(databaseUrl, "burst-5")).length > 0);
  process.kill(first.process.pid, "SIGSTOP"); // in the middle of the burst
  await eventually(() => isLeading(second), { timeoutMs: 20_000 });
  await expectAllWell(cluster, databaseUrl, names);
  const more = await applyMany(cluster, "more", 20);

  const resumedAt = new Date();
  process.kill(first.process.pid, "SIGCONT");
  await eventually(async () => expect(await isLeading(first)).toBe(false));
  await expectAllWell(cluster, databaseUrl, more);
  await eventually(() => isIdle(second));

  // A call that had passed the guard when the process froze may leave the socket only now. One that changes anything has
  // a version or meets the fence; an Event, which reports what was done before, has neither.
  const isEvent = ({ objectRef }: { objectRef?: { resource?: string } }) => objectRef?.resource === "events";
  expect(readWrites(auditLogPath, first.identity, resumedAt).filter((write) => !isEvent(write))).toEqual([]);
  expect(readWrites(auditLogPath, second.identity, resumedAt).length).toBeGreaterThan(0);
  const events = await runAsSuperuser(
    databaseUrl,
    "select event from apitoken.security_events where actor = $1 and occurred_at > $2",
    [`controller/${first.identity}`, resumedAt],
  );
  expect(events).toEqual([]);
  await expectAllWell(cluster, databaseUrl, names);
});

test("kill -9 of the leader in the middle of its work, again and again, loses nothing and does nothing twice", async ({
  cluster,
  databaseUrl,
}) => {
  const names: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    const replica = await startControllerProcess(cluster, databaseUrl, "victim"); // the same name: no wait for the lease
    replicas.push(replica);
    names.push(...(await applyMany(cluster, `kill-${round}`, 15)));
    await eventually(async () => (await findRows(databaseUrl, `kill-${round}-${round * 3}`)).length > 0);
    process.kill(replica.process.pid, "SIGKILL");
    await replica.process.ended;
  }
  replicas.push(await startControllerProcess(cluster, databaseUrl, "victim"));
  await expectAllWell(cluster, databaseUrl, names);
});
