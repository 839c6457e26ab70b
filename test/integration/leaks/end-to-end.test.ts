/*
 * What docs/leaks.md promises, by its own commands: a token that somebody has committed is found by a scanner, ended, refused by every
 * verifier within a second, and replaced.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { describe, expect, inject } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken } from "../../support/cluster.ts";
import { findRows, readKeyring } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { gitleaks, hasLeakTools, pathOfRules } from "../../support/leaks.ts";
import { issueToken } from "../../support/resources.ts";
import { ask, startTestVerifier } from "../../support/verifier.ts";
import { readProjectFile } from "../../unit/docs/tables.ts";

const SECOND = { timeoutMs: 1_000 };

/** The commands of each block, without what they print. */
const BLOCKS = [...readProjectFile("docs/leaks.md").matchAll(/^```(console|sql)\n(.*?)^```$/gms)].map(
  ([, language, text = ""]) =>
    language === "sql" ? text : [...text.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, command]) => command).join("\n"),
);

/** The block with this text in it. */
function blockWith(text: string): string {
  const found = BLOCKS.filter((block) => block.includes(text));
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} blocks have ${text}`);
  return found[0];
}

/** Two verifiers, and a repository in whose folder the commands run, with the test's addresses and names. */
const test = controllerTest
  .extend("verifiers", { scope: "file" }, async ({ cluster, databaseUrl, controller: _ }, { onCleanup }) => {
    const keyring = await eventually(() => readKeyring(cluster));
    const verifiers = await Promise.all([1, 2].map(() => startTestVerifier({ url: databaseUrl, keyring })));
    onCleanup(async () => void (await Promise.all(verifiers.map((verifier) => verifier.stop()))));
    await Promise.all(verifiers.map(({ ready }) => ready));
    return verifiers;
  })
  .extend("repository", { scope: "file" }, async ({ cluster, verifiers }, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-repository-"));
    onCleanup(() => rmSync(folder, { recursive: true, force: true }));
    symlinkSync(pathOfRules(""), join(folder, "leak-rules"));
    const path = [dirname(gitleaks), dirname(inject("servers").kubectlPath), process.env.PATH].join(delimiter);
    const env = { ...process.env, PATH: path, KUBECONFIG: cluster.kubeconfigPath };
    const [first] = verifiers;
    return {
      commit: (name: string, text: string) => writeFileSync(join(folder, name), text),
      run: (commands: string) =>
        runShell(
          commands
            .replaceAll("https://tokens.example.com:8182", first?.introspectionUrl ?? "")
            .replaceAll("-n shop", `-n ${cluster.namespace}`),
          { cwd: folder, env },
        ),
    };
  });

/** Runs commands until one fails; resolves with what they print. */
function runShell(commands: string, options: { cwd: string; env: NodeJS.ProcessEnv }): Promise<string> {
  const child = spawn("sh", ["-e", "-c", commands], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(stdout) : reject(new Error(`${commands}\n${stdout}${stderr}`))));
  });
}

/** Whether the end of the first token of an ApiToken is on record, even if the controller has not yet revoked its row. */
async function hasEnd(databaseUrl: string, name: string): Promise<boolean> {
  const [token] = await runAsSuperuser<{ has_end: boolean }>(
    databaseUrl,
    `select not apitoken.is_live(t, now()) or exists (select from apitoken.requested_ends e where e.token_id = t.id) as has_end
     from apitoken.tokens t where name = $1 order by issued_at, revision limit 1`,
    [name],
  );
  return token?.has_end === true;
}

describe.skipIf(!hasLeakTools)("a token that was committed", () => {
  test("is found, ended before the answer, refused by every verifier within a second, and replaced", async ({
    cluster,
    databaseUrl,
    verifiers,
    repository,
  }) => {
    const plaintext = await issueToken(cluster, "orders", { owner: "alice", rotation: { overlap: "1h" } });
    const untouched = await issueToken(cluster, "untouched", { owner: "bob" });
    const statuses = (token: string) => Promise.all(verifiers.map((verifier) => ask(verifier, { plaintext: token })));
    await eventually(async () => expect(await statuses(plaintext)).toEqual([200, 200]));

    repository.commit("values.yaml", `orders:\n  token: ${plaintext}\n`);
    expect(await repository.run(blockWith("--data-binary"))).toBe("202\n");
    expect(await hasEnd(databaseUrl, "orders")).toBe(true);
    await eventually(async () => expect(await statuses(plaintext)).toEqual([401, 401]), SECOND);
    await eventually(async () => expect((await findRows(databaseUrl, "orders"))[0]).toMatchObject({ is_live: false }));

    const next = await eventually(async () => {
      const held = readToken(await cluster.getSecret("orders"));
      expect(held).not.toBe(plaintext);
      return held;
    });
    await eventually(async () => expect(await statuses(next)).toEqual([200, 200]), SECOND);
    await eventually(async () => {
      const shown = await repository.run(blockWith("{.status.revision}"));
      expect(shown).toMatch(/^2 20\S+Z/);
      expect(shown).toContain("apitoken/orders");
    });
    expect(await statuses(untouched)).toEqual([200, 200]);

    const sql = blockWith("security_events").replace("apt_…", plaintext);
    const events = await runAsSuperuser<{ event: string; reason: string }>(databaseUrl, sql);
    expect(events.map(({ reason }) => reason)).toContain("Leaked");
  });
});

test("without a verifier, a token is ended by a rotation without an overlap", async ({
  cluster,
  databaseUrl,
  repository,
}) => {
  await cluster.kubectl(["delete", "apitoken", "orders", "--ignore-not-found"]);
  const plaintext = await issueToken(cluster, "orders", { owner: "carol", rotation: { overlap: "1h" } });
  await repository.run(blockWith('"overlap":"0s"'));
  await eventually(async () => {
    expect(readToken(await cluster.getSecret("orders"))).not.toBe(plaintext);
    const rows = (await findRows(databaseUrl, "orders")).slice(-2);
    expect(rows).toMatchObject([{ is_live: false }, { is_live: true, revision: 2 }]);
  });
});
