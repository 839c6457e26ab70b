import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { formatKeyring } from "../../../src/runtime/keyring-json.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { readToken } from "../../support/cluster.ts";
import { controllerSettings, startTestController } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { pgbouncer, startPgBouncer } from "../../support/pgbouncer.ts";
import { issueToken } from "../../support/resources.ts";
import {
  changeByHand,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
  untilFresh,
} from "../../support/verifier.ts";
import { runCleanup } from "../cleanup/program.ts";

/* Through PgBouncer the programs either work as they do without it, or refuse to start and say why. */

const programPath = (name: string) => fileURLToPath(new URL(`../../../src/${name}/main.ts`, import.meta.url));

async function run(name: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [programPath(name)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
    timeout: 60_000,
  });
  const exitCode = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [code, stdout, stderr] = await Promise.all([exitCode, text(child.stdout), text(child.stderr)]);
  return { exitCode: code, output: stdout + stderr };
}

/** The environment of a verifier whose folder is removed at the end. */
function verifierSettings(url: string): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-pooled-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "keyring.json");
  writeFileSync(file, formatKeyring(createKeyring()));
  const ports = ["VERIFIER", "VERIFIER_INTROSPECTION", "VERIFIER_GRPC", "HTTP"];
  return {
    DATABASE_URL: url,
    APITOKEN_KEYRING_FILE: file,
    APITOKEN_VERIFIER_DRAIN: "0s",
    ...Object.fromEntries(ports.map((name) => [`APITOKEN_${name}_PORT`, "0"])),
  };
}

describe.skipIf(pgbouncer === undefined)("PgBouncer (skipped unless it is installed)", () => {
  test("in session mode, controller, cleanup and migrate work, and changes made with SQL are heard", async ({
    cluster,
    databaseUrl,
    onTestFinished,
  }) => {
    const bouncer = await startPgBouncer(databaseUrl, "session");
    onTestFinished(() => bouncer.stop());
    expect(await run("migrate", { DATABASE_URL: bouncer.url })).toMatchObject({ exitCode: 0 });

    const controller = await startTestController(cluster, bouncer.url);
    onTestFinished(() => controller.stop());
    const first = await issueToken(cluster, "pooled", { owner: "alice" });
    await runAsSuperuser(databaseUrl, "update apitoken.tokens set revoked_at = now() where name = 'pooled'");
    await eventually(async () => expect(await findRows(databaseUrl, "pooled")).toMatchObject([{}, { is_live: true }]));
    expect(await verifies(cluster, databaseUrl, first)).toBe(false);
    await eventually(async () =>
      expect(await verifies(cluster, bouncer.url, readToken(await cluster.getSecret("pooled")))).toBe(true),
    );
    const actors = await runAsSuperuser<{ actor: string }>(databaseUrl, "select actor from apitoken.security_events");
    expect(actors.some(({ actor }) => actor === `controller/${controller.identity}`)).toBe(true);
    expect(await runCleanup(bouncer.url)).toMatchObject({ exitCode: 0 });
  });

  test("in session mode, a verifier answers from memory and hears a revocation at once", async ({
    databaseUrl,
    onTestFinished,
  }) => {
    const bouncer = await startPgBouncer(databaseUrl, "session");
    onTestFinished(() => bouncer.stop());
    const keyring = createKeyring();
    const token = await issueByHand(databaseUrl, keyring);
    const verifier = await startTestVerifier({ url: bouncer.url, keyring });
    onTestFinished(() => verifier.stop());
    const ask = async () =>
      (await fetch(`${verifier.gatewayUrl}/verify`, { headers: { authorization: `Bearer ${token.plaintext}` } }))
        .status;
    const statements = () => readVerifierMetric(verifier, "apitoken_verifier_lookup_statements_total");
    await verifier.ready;
    await untilFresh(verifier);
    const before = await statements();
    for (let count = 0; count < 50; count += 1) expect(await ask()).toBe(200);
    expect(await statements()).toBe(before);
    await changeByHand(databaseUrl, token, "revoked_at = now()");
    await eventually(async () => expect(await ask()).toBe(401), { timeoutMs: 1_000 });
    expect(await readVerifierMetric(verifier, "apitoken_verifier_fresh")).toBe(1);
  });

  test.for(["transaction", "statement"] as const)(
    "in %s mode, no program starts, and each says why",
    async (mode, { cluster, databaseUrl, onTestFinished }) => {
      const bouncer = await startPgBouncer(databaseUrl, mode);
      onTestFinished(() => bouncer.stop());
      const refusal = {
        exitCode: 1,
        output: expect.stringMatching(/pool_mode = session[\s\S]*APITOKEN_E_SESSION_LOST/),
      };
      expect(await run("migrate", { DATABASE_URL: bouncer.url })).toMatchObject(refusal);
      expect(await run("cleanup", { DATABASE_URL: bouncer.url })).toMatchObject({ output: refusal.output });
      expect(await run("controller", controllerSettings(cluster, bouncer.url))).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining("APITOKEN_E_SESSION_LOST"),
      });
      expect(await run("verifier", verifierSettings(bouncer.url))).toMatchObject(refusal);
      // What was refused has left nothing behind for those who share the sessions.
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const [session] = await runAsSuperuser<{ role: string; actor: string | null }>(
          bouncer.url,
          "select current_user::text as role, current_setting('apitoken.actor', true) as actor",
        );
        expect(session).toEqual({ role: "postgres", actor: null });
      }
    },
  );
});
