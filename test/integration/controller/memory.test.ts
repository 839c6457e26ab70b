/*
 * What anyone who may create ApiTokens or Secrets in one namespace can do to the controller's memory, which all namespaces
 * share: the bundled program as its image runs it, measured by the kernel.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "vitest";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../../../local/processes.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { readImageCommand } from "../../bench/image.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { controllerSettings, isSettled } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { applyToHostileSecrets, blowUpApiTokens, createHostileSecrets } from "../../support/hostile-objects.ts";
import { applyMany, issueToken, untilReason } from "../../support/resources.ts";

const ALLOWED_MIB = 40;

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apitoken-memory-"));
const bundle = join(folder, "dist");

beforeAll(() => execFileSync(process.execPath, ["build.mjs", bundle], { cwd: ROOT }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(process.platform !== "linux")(
  "objects as large as the API server accepts take little memory of a fresh replica, and of one that sees them being made",
  async ({ cluster, databaseUrl }) => {
    const names = await prepare(cluster, databaseUrl);
    const before = await start(cluster, databaseUrl);
    const calm = readPeak(before);

    await createHostileSecrets(cluster);
    const waiting = await applyToHostileSecrets(cluster);
    for (const name of waiting) await untilReason(cluster, name, "SecretConflict", 60_000);
    await blowUpApiTokens(cluster, names);
    await untilAllSeen(cluster, before);
    const watching = readPeak(before);
    await before.stop();

    const after = await start(cluster, databaseUrl);
    const fresh = readPeak(after);
    await after.stop();
    expect(fresh - calm).toBeLessThanOrEqual(ALLOWED_MIB);
    expect(watching - calm).toBeLessThanOrEqual(ALLOWED_MIB);
  },
  300_000,
);

/** Converged ApiTokens, so that both replicas begin alike. */
async function prepare(cluster: TestCluster, databaseUrl: string): Promise<string[]> {
  const controller = await start(cluster, databaseUrl);
  const names = await applyMany(cluster, "ordinary", 60);
  await issueToken(cluster, "last");
  await eventually(() => isSettled(controller));
  await controller.stop();
  return names;
}

type Measured = BackgroundProcess & { readonly port: number };

async function start(cluster: TestCluster, databaseUrl: string): Promise<Measured> {
  const [port] = (await findFreePorts(1)) as [number];
  const image = readImageCommand("controller");
  const controller = startProcess(process.execPath, [...image.nodeOptions, join(bundle, "controller.js")], {
    logPath: join(folder, "log"),
    env: {
      ...process.env,
      ...image.env,
      ...controllerSettings(cluster, databaseUrl),
      APITOKEN_HTTP_PORT: String(port),
    },
  });
  await waitUntilReady("the controller", controller, () => isSettled({ port }), 60_000);
  return Object.assign(controller, { port });
}

/** Events arrive in order: a Secret that is deleted last is written again when all others have been seen. */
async function untilAllSeen(cluster: TestCluster, controller: Measured): Promise<void> {
  const before = await cluster.getSecret("last");
  await cluster.transport.request("DELETE", `${secretsPath(cluster.namespace)}/last`);
  await eventually(
    async () => {
      const after = await cluster.getSecret("last");
      expect(after?.metadata.uid ?? before?.metadata.uid).not.toBe(before?.metadata.uid);
      expect(await isSettled(controller)).toBe(true);
    },
    { timeoutMs: 60_000 },
  );
}

/** The largest resident set that the process has had, in MiB. */
function readPeak({ pid }: BackgroundProcess): number {
  const [, kib = ""] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1_024;
}
