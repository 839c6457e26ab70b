import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";
import { changeAsRestore } from "../../support/token-rows.ts";

const REQUEST = "apitoken.dev/rotate-requested-at";
const readSecret = async (cluster: TestCluster, name: string) => readToken(await cluster.getSecret(name));
const statusOf = async (cluster: TestCluster, name: string) => (await cluster.get(name))?.status;
const untilRevision = (cluster: TestCluster, name: string, revision: number, timeoutMs = 15_000) =>
  eventually(async () => expect((await statusOf(cluster, name))?.revision).toBe(revision), { timeoutMs });

/** Makes a token as old as if it had been issued that long ago. */
async function age(databaseUrl: string, name: string, interval: string): Promise<void> {
  await runAsSuperuser(
    databaseUrl,
    `update apitoken.tokens set issued_at = issued_at - $2::interval, expires_at = expires_at - $2::interval,
       active_since = active_since - $2::interval
     where name = $1`,
    [name, interval],
  );
}

describe("rotation", () => {
  test("a token is renewed at nine tenths of its life, and the previous one keeps working for the overlap", async ({
    cluster,
    databaseUrl,
  }) => {
    const first = await issueToken(cluster, "due", { owner: "alice" });
    const before = await statusOf(cluster, "due");
    const lived = Date.parse(before?.renewAt ?? "") - Date.parse(before?.issuedAt ?? "");
    expect(lived / (720 * 3_600_000)).toBeGreaterThanOrEqual(0.9);
    expect(lived / (720 * 3_600_000)).toBeLessThan(0.91);

    await age(databaseUrl, "due", "656 hours"); // later than spreading allows, which is 9 % of the lifetime before its end
    await untilRevision(cluster, "due", 2);
    const second = await readSecret(cluster, "due");
    expect(second).not.toBe(first);
    expect(await verifies(cluster, databaseUrl, first)).toBe(true);
    expect(await verifies(cluster, databaseUrl, second)).toBe(true);
    const [old, current] = await findRows(databaseUrl, "due");
    expect(old).toMatchObject({ revision: 1, revocation_reason: "Rotated" });
    const overlapMs = (old?.revoked_at?.getTime() ?? 0) - Date.now();
    expect(overlapMs).toBeGreaterThan(3_590_000);
    expect(overlapMs).toBeLessThanOrEqual(3_600_000);
    expect(await statusOf(cluster, "due")).toMatchObject({
      tokenId: current?.id,
      previous: { tokenId: old?.id, validUntil: old?.revoked_at?.toISOString().replace(".000Z", "Z") },
    });
    expect(conditionOf(await cluster.get("due"), "Ready")).toMatchObject({ status: "True", reason: "Rotated" });
  });

  test("a short-lived token is renewed by time alone, again and again, and each works in between", async ({
    cluster,
    databaseUrl,
  }) => {
    await issueToken(cluster, "short", {
      owner: "alice",
      duration: "10s",
      rotation: { renewBefore: "5s", overlap: "2s" },
    });
    let isOver = false;
    let reads = 0;
    const reader = async () => {
      while (!isOver) {
        expect(await verifies(cluster, databaseUrl, await readSecret(cluster, "short"))).toBe(true);
        reads += 1;
      }
    };
    const reading = reader();
    await untilRevision(cluster, "short", 4, 30_000).finally(() => {
      isOver = true;
    });
    await reading;
    expect(reads).toBeGreaterThan(50);
    const live = (await findRows(databaseUrl, "short")).filter((row) => row.is_live);
    expect(live.length).toBeLessThanOrEqual(2);
  }, 40_000);

  test("a request by annotation is handled once, and the status shows which", async ({ cluster, databaseUrl }) => {
    const first = await issueToken(cluster, "asked", { owner: "alice" });
    await cluster.annotate("asked", { [REQUEST]: "2026-11-21T10:00:00Z" });
    await untilRevision(cluster, "asked", 2);
    expect(await statusOf(cluster, "asked")).toMatchObject({ lastHandledRotateAt: "2026-11-21T10:00:00Z" });
    expect(await verifies(cluster, databaseUrl, first)).toBe(true);
    await cluster.patch("asked", { description: "look again" });
    await eventually(async () => {
      const resource = await cluster.get("asked");
      expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
    });
    expect(await findRows(databaseUrl, "asked")).toHaveLength(2);
  });

  test("a further request waits for the policy's interval, visibly, and is then carried out once", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await resources.applyPolicy("patient", {
      maxTokensPerOwner: 100,
      rotation: { minRequestInterval: "1h" },
    });
    await issueToken(cluster, "impatient", { owner: "alice" });
    await cluster.annotate("impatient", { [REQUEST]: "1" });
    await untilRevision(cluster, "impatient", 2);
    for (const request of ["2", "3", "4"]) await cluster.annotate("impatient", { [REQUEST]: request });
    await eventually(async () => {
      const resource = await cluster.get("impatient");
      const { issuedAt = "", renewAt = "" } = resource?.status ?? {};
      expect(Date.parse(renewAt) - Date.parse(issuedAt)).toBe(3_600_000);
      expect(conditionOf(resource, "Ready")).toMatchObject({
        status: "True",
        message: expect.stringContaining(`The rotation that was requested follows at ${renewAt}`),
      });
    });
    expect(await findRows(databaseUrl, "impatient")).toHaveLength(2);
    await resources.applyPolicy("patient", { maxTokensPerOwner: 100, rotation: { minRequestInterval: "1s" } });
    await untilRevision(cluster, "impatient", 3);
    await eventually(async () => expect((await statusOf(cluster, "impatient"))?.lastHandledRotateAt).toBe("4"));
    expect(conditionOf(await cluster.get("impatient"), "Ready")?.message).not.toContain("requested");
    expect(await findRows(databaseUrl, "impatient")).toHaveLength(3);
  });

  test("after two requests in a row, the second ends the first token at once: one current, one previous", async ({
    cluster,
    databaseUrl,
  }) => {
    const first = await issueToken(cluster, "twice", { owner: "alice" });
    await cluster.annotate("twice", { [REQUEST]: "1" });
    await untilRevision(cluster, "twice", 2);
    const second = await readSecret(cluster, "twice");
    await cluster.annotate("twice", { [REQUEST]: "2" });
    await untilRevision(cluster, "twice", 3);
    expect(await verifies(cluster, databaseUrl, first)).toBe(false);
    expect(await verifies(cluster, databaseUrl, second)).toBe(true);
    expect((await findRows(databaseUrl, "twice")).filter((row) => row.is_live)).toHaveLength(2);
  });

  test("without rotation a token is first ExpiringSoon and then Expired", async ({ cluster, databaseUrl }) => {
    const token = await issueToken(cluster, "fixed", { owner: "alice", rotation: { policy: "Disabled" } });
    expect(conditionOf(await cluster.get("fixed"), "ExpiringSoon")).toBeUndefined();
    await age(databaseUrl, "fixed", "600 hours");
    await cluster.patch("fixed", { description: "look again" });
    await eventually(async () =>
      expect(conditionOf(await cluster.get("fixed"), "ExpiringSoon")).toMatchObject({ status: "True" }),
    );
    await age(databaseUrl, "fixed", "121 hours");
    await cluster.patch("fixed", { description: "and again" });
    await untilReason(cluster, "fixed", "Expired");
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  });

  test("a token that is unused for too long is revoked, and a request issues a new one", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "idle", { owner: "alice", inactivityTimeout: "240h" });
    await age(databaseUrl, "idle", "241 hours");
    await cluster.patch("idle", { description: "look again" });
    await untilReason(cluster, "idle", "Inactive");
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    expect(await cluster.getSecret("idle")).toBeUndefined();
    await runAsSuperuser(databaseUrl, "delete from apitoken.tokens where name = 'idle'");
    await cluster.patch("idle", { description: "the cleanup has been here" });
    await eventually(async () => {
      const resource = await cluster.get("idle");
      expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
      expect(conditionOf(resource, "Ready")?.reason).toBe("Inactive");
    });
    await cluster.annotate("idle", { [REQUEST]: "needed after all" });
    await untilReady(cluster, "idle");
    expect(await verifies(cluster, databaseUrl, await readSecret(cluster, "idle"))).toBe(true);
  });

  test("a token that is used is not revoked, and the status shows its last use", async ({ cluster, databaseUrl }) => {
    await issueToken(cluster, "busy", { owner: "alice", inactivityTimeout: "240h" });
    await runAsSuperuser(databaseUrl, "update apitoken.tokens set last_used_at = now() where name = 'busy'");
    await age(databaseUrl, "busy", "241 hours");
    await cluster.patch("busy", { description: "look again" });
    await eventually(async () => expect((await statusOf(cluster, "busy"))?.lastUsedAt).toBeDefined());
    await untilReady(cluster, "busy");
  });
});

describe("a change made with SQL", () => {
  test("that ends a token in the future gets it a successor in time", async ({ cluster, databaseUrl }) => {
    const token = await issueToken(cluster, "sql-ahead", { owner: "alice" });
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set revoked_at = now() + interval '30 minutes', revocation_reason = 'audit' where name = 'sql-ahead'",
    );
    await untilRevision(cluster, "sql-ahead", 2);
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    expect((await findRows(databaseUrl, "sql-ahead"))[0]?.revocation_reason).toBe("audit");
  });

  test("that extends a token beyond the maximum is corrected, and recorded in the audit trail", async ({
    cluster,
    databaseUrl,
  }) => {
    await issueToken(cluster, "sql-longer", { owner: "alice" });
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set expires_at = expires_at + interval '9 years' where name = 'sql-longer'",
    );
    await eventually(async () => {
      const [row] = await findRows(databaseUrl, "sql-longer");
      expect(row && row.expires_at.getTime() - row.issued_at.getTime()).toBe(720 * 3_600_000);
    });
    const changes = (await findEvents(databaseUrl, "sql-longer")).filter(({ event }) => event === "TokenChanged");
    expect(changes.map(({ actor }) => actor.split("/")[0])).toEqual(["postgres", "controller"]);
  });

  test("that brings back a rotated row from a backup does not revive its token", async ({
    cluster,
    databaseUrl,
    controller,
  }) => {
    const first = await issueToken(cluster, "restored", { owner: "alice", rotation: { overlap: "0s" } });
    await cluster.annotate("restored", { [REQUEST]: "1" });
    await untilRevision(cluster, "restored", 2);
    expect(await verifies(cluster, databaseUrl, first)).toBe(false);
    await controller.stop();
    await runAsSuperuser(databaseUrl, `delete from apitoken.tokens where name = 'restored' and revision = 2`);
    await changeAsRestore(
      databaseUrl,
      `update apitoken.tokens set revoked_at = null, revocation_reason = null where name = 'restored'`,
    );
    expect(await verifies(cluster, databaseUrl, first)).toBe(true);
    await controller.restart();
    await untilRevision(cluster, "restored", 3);
    expect(await verifies(cluster, databaseUrl, first)).toBe(false);
    expect(await verifies(cluster, databaseUrl, await readSecret(cluster, "restored"))).toBe(true);
  });
});
