import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { conditionOf, connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findEvents, findRows, verifies } from "../../support/database.ts";
import { copyDatabase, restoreDatabase } from "../../support/database-copy.ts";
import { eventually } from "../../support/eventually.ts";
import { type ClusterResources, createClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

let cluster: TestCluster;
let resources: ClusterResources;
let databaseUrl: string;
let controller: TestController;

beforeEach(async () => {
  cluster = await connectCluster();
  resources = createClusterResources(cluster);
  databaseUrl = await createTestDatabase();
  controller = await startTestController(cluster, databaseUrl);
});
afterEach(async () => {
  await controller.stop();
  await resources.clear();
  await cluster.close();
});

const secretOf = async (name: string) => (await cluster.getSecret(name)) as Secret;
const tokenOf = async (name: string) => readToken(await cluster.getSecret(name));
const isValid = (plaintext: string) => verifies(cluster, databaseUrl, plaintext);
const liveRows = async (name: string) => (await findRows(databaseUrl, name)).filter((row) => row.is_live);
const untilIdle = () => eventually(() => isIdle(controller));
const restart = async () => {
  controller = await startTestController(cluster, databaseUrl);
};

async function rotate(name: string, request: string, revision: number): Promise<string> {
  await cluster.annotate(name, { "apitoken.dev/rotate-requested-at": request });
  await eventually(async () => {
    expect((await cluster.get(name))?.status?.revision).toBe(revision);
    expect(await liveRows(name)).toHaveLength(2);
  });
  return tokenOf(name);
}

/** Expects Ready, with one current token of that revision, which the Secret holds. */
async function untilSettled(name: string, revision: number): Promise<string> {
  await eventually(async () => {
    const status = (await cluster.get(name))?.status;
    const current = (await liveRows(name)).filter((row) => row.revoked_at === null);
    expect(current.map((row) => row.id)).toEqual([status?.tokenId]);
    expect(status?.revision).toBe(revision);
    expect(conditionOf(await cluster.get(name), "Ready")?.status).toBe("True");
    expect(await isValid(await tokenOf(name))).toBe(true);
  });
  return tokenOf(name);
}

test("the database is restored from yesterday's copy under a running controller: no ended token is revived", async () => {
  const yesterday: Record<string, string> = {};
  for (const name of ["kept", "rotated", "twice", "revoked", "deleted", "leaked"]) {
    yesterday[name] = await issueToken(cluster, name);
  }
  const leaver = `leaver-${cluster.namespace}`;
  const returner = `returner-${cluster.namespace}`;
  yesterday.leaver = await issueToken(cluster, "leaver", { owner: leaver });
  await resources.applyBlock("returner", { owner: returner });
  // Otherwise the ApiToken may get a first token before the block takes effect.
  await eventually(async () =>
    expect(await resources.getBlockCondition("returner", "Effective")).toMatchObject({ status: "True" }),
  );
  await cluster.apply("returner", { owner: returner });
  await untilReason(cluster, "returner", "OwnerBlocked");
  await untilIdle();
  await copyDatabase(databaseUrl);
  await controller.stop();
  await restart(); // the leader at the restore is not the leader at the time of the copy

  const lost = {
    rotated: await rotate("rotated", "one", 2),
    between: await rotate("twice", "one", 2),
    new: await issueToken(cluster, "new"),
  };
  await cluster.annotate("twice", { "apitoken.dev/rotate-requested-at": "two" });
  await eventually(async () => expect(await isValid(yesterday.twice as string)).toBe(false));
  await cluster.patch("revoked", { revoked: true });
  await untilReason(cluster, "revoked", "RevokedBySpec");
  await cluster.delete("deleted");
  await eventually(async () => expect(await cluster.get("deleted")).toBeUndefined());
  await runAsSuperuser(
    databaseUrl,
    "update apitoken.tokens set revoked_at = now(), revocation_reason = 'leaked' where name = 'leaked'",
  );
  await untilSettled("leaked", 2);
  await resources.applyBlock("leaver", { owner: leaver });
  await untilReason(cluster, "leaver", "OwnerBlocked");
  await resources.deleteBlock("returner");
  await untilReady(cluster, "returner");
  await untilIdle();

  await restoreDatabase(databaseUrl);

  // What has ended since is ended again, whether by spec, SQL, deletion, a block or its overlap.
  await eventually(async () => {
    for (const name of ["twice", "revoked", "deleted", "leaked", "leaver"]) {
      expect(await isValid(yesterday[name] as string), name).toBe(false);
    }
  });
  for (const name of ["revoked", "deleted", "leaver"]) expect(await liveRows(name), name).toEqual([]);
  expect(conditionOf(await cluster.get("leaver"), "Ready")?.reason).toBe("OwnerBlocked");
  // A lost row loses its token, which one new token replaces. An ApiToken that has its row keeps its token.
  expect(await untilSettled("rotated", 3)).not.toBe(lost.rotated);
  await untilSettled("twice", 4);
  await untilSettled("leaked", 3);
  expect(await untilSettled("new", 2)).not.toBe(lost.new);
  await untilSettled("returner", 2);
  expect(await untilSettled("kept", 1)).toBe(yesterday.kept);
  expect(await isValid(yesterday.rotated as string)).toBe(true);
  expect(await findRows(databaseUrl, "kept")).toHaveLength(1);
  expect((await findEvents(databaseUrl, "deleted")).at(-1)).toMatchObject({ reason: "ResourceDeleted" });
});

describe("the cluster is restored from yesterday's etcd, and the database is ahead", () => {
  /** Restores the earlier Secret and status. */
  async function rewind(name: string, { data, metadata }: Secret, status: unknown): Promise<void> {
    const { transport, namespace } = cluster;
    const { resourceVersion: _, ...rest } = metadata;
    const path = `${secretsPath(namespace)}/${name}`;
    await transport.request("PUT", path, {
      body: { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: rest, data },
    });
    await transport.request("PATCH", `/apis/apitoken.dev/v1alpha1/namespaces/${namespace}/apitokens/${name}/status`, {
      contentType: "application/json-patch+json",
      body: [{ op: "replace", path: "/status", value: status }],
    });
  }

  test.each([
    { sentence: "in the old token's overlap", isOver: false },
    { sentence: "after the old token's overlap", isOver: true },
  ])("$sentence one new token replaces the one whose Secret was lost", async ({ isOver }) => {
    const first = await issueToken(cluster, "back");
    const before = { secret: await secretOf("back"), status: (await cluster.get("back"))?.status };
    const second = await rotate("back", "one", 2);
    await untilIdle();
    await controller.stop();
    if (isOver) await runAsSuperuser(databaseUrl, "update apitoken.tokens set revoked_at = now() where revision = 1");
    await rewind("back", before.secret, before.status);
    await restart();

    // The rotation request still exists, and was not yet handled in the restored state.
    const third = await untilSettled("back", 2);
    expect([first, second]).not.toContain(third);
    expect(await isValid(second)).toBe(false);
    expect(await isValid(first)).toBe(!isOver);
    expect(await findRows(databaseUrl, "back")).toHaveLength(2);
  });

  test("an ApiToken that was deleted and is restored gets a new token; the old one stays dead", async () => {
    const old = await issueToken(cluster, "undead");
    await untilIdle();
    await controller.stop();
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set revoked_at = now(), revocation_reason = 'ResourceDeleted' where name = 'undead'",
    );
    await restart();
    await untilSettled("undead", 2);
    expect(await isValid(old)).toBe(false);
  });
});

describe("a Secret and its row, both changed by hand", () => {
  const SECRETS = ["kept", "edited", "deleted"] as const;
  const ROWS = ["kept", "revoked", "deleted"] as const;
  const CASES = SECRETS.flatMap((secret) => ROWS.map((row) => ({ secret, row, name: `secret-${secret}-row-${row}` })));

  test("each ends up with one live token, at most one of them new, and none of them ended before", async () => {
    const old = new Map<string, string>();
    for (const { name } of CASES) old.set(name, await issueToken(cluster, name));
    await untilIdle();
    await controller.stop();
    for (const { name, secret, row } of CASES) {
      const path = `${secretsPath(cluster.namespace)}/${name}`;
      const body = { data: { token: "ZWRpdGVk" } };
      if (secret === "edited") {
        await cluster.transport.request("PATCH", path, { contentType: "application/merge-patch+json", body });
      }
      if (secret === "deleted") await cluster.transport.request("DELETE", path);
      const change = {
        kept: "select $1",
        revoked: "update apitoken.tokens set revoked_at = now() where name = $1",
        deleted: "delete from apitoken.tokens where name = $1",
      }[row];
      await runAsSuperuser(databaseUrl, change, [name]);
    }
    await restart();

    for (const { name, secret, row } of CASES) {
      const isUntouched = secret === "kept" && row === "kept";
      const current = await untilSettled(name, isUntouched ? 1 : 2);
      expect(current === old.get(name), name).toBe(isUntouched);
      // A token of which only the Secret was lost may still be in use somewhere, so it gets its overlap.
      expect(await isValid(old.get(name) as string), name).toBe(row === "kept");
      expect(
        (await liveRows(name)).filter((live) => live.revoked_at === null),
        name,
      ).toHaveLength(1);
    }
    const { items } = await cluster.transport.request<{ items: { reason: string; regarding: { name: string } }[] }>(
      "GET",
      `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`,
    );
    const told = new Set(items.filter(({ reason }) => reason === "SecretDrift").map(({ regarding }) => regarding.name));
    expect([...told].sort()).toEqual(
      CASES.slice(1)
        .map(({ name }) => name)
        .sort(),
    );
  });

  test("a rotation that is requested while a foreign Secret has the name issues no token", async () => {
    await issueToken(cluster, "taken");
    await untilIdle();
    const path = secretsPath(cluster.namespace);
    await cluster.transport.request("DELETE", `${path}/taken`);
    await untilSettled("taken", 2);
    await controller.stop();
    await cluster.transport.request("DELETE", `${path}/taken`);
    await cluster.transport.request("POST", path, { body: { metadata: { name: "taken" } } });
    await cluster.annotate("taken", { "apitoken.dev/rotate-requested-at": "now" });
    await restart();
    await untilReason(cluster, "taken", "SecretConflict");
    await untilIdle();
    expect(await findRows(databaseUrl, "taken")).toHaveLength(2);
    expect(await liveRows("taken")).toEqual([]);
  });
});
