import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../../local/control-plane.ts";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { runCommand } from "../../support/commands.ts";
import { isIdle, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { installResources } from "../../support/global-setup.ts";
import { issueToken, untilReady } from "../../support/resources.ts";

const CRDS = fileURLToPath(new URL("../../../crds/", import.meta.url));

// Its own control plane, because its CRDs are deleted.
let plane: ControlPlane;
let cluster: TestCluster;
let databaseUrl: string;

beforeAll(async () => {
  plane = await startControlPlane({ withControllerManager: true });
  installResources(plane);
});
beforeEach(async () => {
  await cluster?.close();
  cluster = await connectCluster(plane.kubeconfigPath);
  databaseUrl = await createTestDatabase();
});
afterAll(async () => {
  await cluster?.close();
  await plane?.stop();
});

/** Checks all namespaces, because nothing that other tests have left behind may get stuck either. */
const EVERYWHERE = { APITOKEN_WATCH_NAMESPACES: "" };

async function withController(
  work: (controller: TestController) => Promise<unknown>,
  settings: Readonly<Record<string, string>> = {},
): Promise<void> {
  const controller = await startTestController(cluster, databaseUrl, { settings });
  try {
    await eventually(() => isIdle(controller));
    await work(controller);
  } finally {
    await controller.stop();
  }
}

const liveRows = (namespace = cluster.namespace) =>
  runAsSuperuser(
    databaseUrl,
    `select namespace, name, revision from apitoken.tokens
     where namespace = $1 and apitoken.is_live(tokens, now())`,
    [namespace],
  );
const uninstall = (...args: string[]) => runCommand(cluster, databaseUrl, ["uninstall", ...args]);

test("uninstall releases every ApiToken: tokens keep working, and deletions do not get stuck", async () => {
  const tokens: string[] = [];
  await withController(async () => {
    for (const name of ["a", "b"]) tokens.push(await issueToken(cluster, name));
  });
  expect(await uninstall()).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringContaining("2 ApiTokens released"),
  });
  for (const token of tokens) expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  for (const name of ["a", "b"]) {
    expect((await cluster.get(name))?.metadata.finalizers ?? []).toEqual([]);
    await cluster.delete(name);
    expect(await cluster.get(name)).toBeUndefined();
  }
});

test("uninstall --revoke ends every token of this cluster first; an operator that comes back issues new ones", async () => {
  let token = "";
  await withController(async () => {
    token = await issueToken(cluster, "a");
  });
  expect(await uninstall("--revoke")).toMatchObject({ code: 0, stdout: expect.stringContaining("1 token revoked") });
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  expect(await findRows(databaseUrl, "a")).toMatchObject([{ revocation_reason: "Uninstalled", is_live: false }]);
  await withController(async () => {
    await eventually(async () => expect(readToken(await cluster.getSecret("a"))).not.toBe(token));
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("a")))).toBe(true);
  });
});

test("uninstall revokes what was being deleted when the operator was removed", async () => {
  let token = "";
  await withController(async () => {
    token = await issueToken(cluster, "leaving");
  });
  await cluster.delete("leaving");
  expect((await cluster.get("leaving"))?.metadata.deletionTimestamp).toBeDefined();
  expect(await uninstall()).toMatchObject({ code: 0 });
  expect(await cluster.get("leaving")).toBeUndefined();
  expect(await cluster.getSecret("leaving")).toBeUndefined();
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
});

test("uninstall needs no database, unless something is to be revoked", async () => {
  await withController(() => issueToken(cluster, "a"));
  const away = "postgres://nobody@127.0.0.1:1/nothing";
  expect(await runCommand(cluster, away, ["uninstall", "--revoke"])).toMatchObject({ code: 1 });
  expect((await cluster.get("a"))?.metadata.finalizers).toHaveLength(1);
  expect(await runCommand(cluster, away, ["uninstall"])).toMatchObject({ code: 0 });
  expect((await cluster.get("a"))?.metadata.finalizers ?? []).toEqual([]);
});

test("uninstall does nothing while a controller leads", async () => {
  await withController(async () => {
    await issueToken(cluster, "a");
    const result = await uninstall("--revoke");
    expect(result).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("a controller leads") });
    expect(await liveRows()).toHaveLength(1);
    expect((await cluster.get("a"))?.metadata.finalizers).toHaveLength(1);
  });
});

test("deleting the CRDs deletes all ApiTokens and ends their tokens; applied again, everything comes back", async () => {
  await withController(async (controller) => {
    const isReady = async () => (await fetch(`http://127.0.0.1:${controller.port}/readyz`)).ok;
    const token = await issueToken(cluster, "a");
    await issueToken(cluster, "b");
    expect(await cluster.kubectl(["delete", "-f", CRDS, "--timeout=30s"])).toMatchObject({ code: 0 });
    await eventually(async () => expect(await liveRows()).toEqual([]));
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    expect(await cluster.getSecret("a")).toBeUndefined();
    expect(await isReady()).toBe(true);

    installResources(plane);
    await cluster.apply("a", { owner: "alice" });
    await untilReady(cluster, "a", 60_000);
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("a")))).toBe(true);
    expect(await isReady()).toBe(true);
  }, EVERYWHERE);
}, 120_000);

test("a namespace can be deleted, and its tokens end", async ({ skip }) => {
  skip(plane.controllerManager === undefined, "there is no kube-controller-manager, which empties namespaces");
  const system = cluster;
  const team = await connectCluster(plane.kubeconfigPath);
  const controller = await startTestController(system, databaseUrl, { settings: EVERYWHERE });
  try {
    const names = ["a", "b", "c"];
    for (const name of names) await issueToken(team, name);
    await team.apply("retained", { owner: "alice", secret: { onDelete: "Retain" } });
    await untilReady(team, "retained");
    await system.transport.request("DELETE", `/api/v1/namespaces/${team.namespace}`);
    await eventually(
      async () => {
        const { code, output } = await system.kubectl(["get", "namespace", team.namespace]);
        expect({ code, output }).toMatchObject({ code: 1, output: expect.stringContaining("NotFound") });
      },
      { timeoutMs: 45_000, intervalMs: 250 },
    );
    expect(await liveRows(team.namespace)).toEqual([]);
  } finally {
    await controller.stop();
    await team.close();
  }
}, 90_000);

test("a namespace that was deleted while no controller ran is gone once one runs", async ({ skip }) => {
  skip(plane.controllerManager === undefined, "there is no kube-controller-manager, which empties namespaces");
  const team = await connectCluster(plane.kubeconfigPath);
  const run = () => startTestController(cluster, databaseUrl, { settings: EVERYWHERE });
  const first = await run();
  await issueToken(team, "a").finally(() => first.stop());
  await team.transport.request("DELETE", `/api/v1/namespaces/${team.namespace}`);
  await eventually(async () => expect((await team.get("a"))?.metadata.deletionTimestamp).toBeDefined());
  expect(conditionOf(await team.get("a"), "Ready")?.status).toBe("True");
  const second = await run();
  try {
    await eventually(async () => expect((await cluster.kubectl(["get", "namespace", team.namespace])).code).toBe(1), {
      timeoutMs: 45_000,
      intervalMs: 250,
    });
    expect(await liveRows(team.namespace)).toEqual([]);
  } finally {
    await second.stop();
    await team.close();
  }
}, 90_000);
