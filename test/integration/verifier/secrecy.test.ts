/*
 * What a verifier is shown must stay with whoever has shown it, whatever they do wrong and whatever fails.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createBreakGlassToken } from "../../../src/verifier/break-glass/tokens.ts";
import { readSnapshotFile } from "../../../src/verifier/snapshot/file.ts";
import { SNAPSHOT_LIMIT_BYTES } from "../../../src/verifier/snapshot/snapshots.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createSigningKeys } from "../../support/jwt.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import { askEverywhere, endEverywhere } from "../../support/verifier/ask-everywhere.ts";
import { prepareVerifier } from "../../support/verifier/program.ts";
import { expectNoSecret, listSecrets } from "../../support/verifier/secrets.ts";
import { changeByHand, issueByHand } from "../../support/verifier.ts";

const keyring = createKeyring();
const [pepper] = keyring.peppers;
const glass = createBreakGlassToken({ name: "on-call", owner: "operators", scopes: [] }, 3_600_000);

const test = base
  .extend("databaseUrl", () => createTestDatabase())
  /** The network between the verifier and its database. */
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("signing", ({}, { onCleanup }) => {
    const signing = createSigningKeys({ issuer: "https://tokens.example.com" });
    onCleanup(signing.remove);
    return signing.settings;
  })
  /** A process with everything that a verifier can have, and the most detailed log. */
  .extend("verifier", async ({ network, signing }, { onCleanup }) => {
    const breakGlassFile = "break-glass.json";
    const settings = {
      ...signing,
      APITOKEN_VERIFIER_BREAK_GLASS_FILE: breakGlassFile,
      APITOKEN_VERIFIER_SNAPSHOT_DIR: ".",
      // So that X-Forwarded-For counts, whatever it holds.
      APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.0/8",
      // So that no question is left without a look at its token.
      APITOKEN_VERIFIER_FAILURES_PER_MINUTE: "0",
    };
    const program = await prepareVerifier({ url: network.url, keyring, settings });
    onCleanup(() => program.close());
    writeFileSync(join(program.folder, breakGlassFile), JSON.stringify({ tokens: [glass.entry] }));
    const { pid } = program.start();
    await program.untilReady();
    return { ...program, pid };
  });

/** A token whose row has a bcrypt hash, which another thread compares. */
async function issueWithBcrypt(databaseUrl: string): Promise<string> {
  const token = await issueByHand(databaseUrl, keyring);
  const { hash } = await createTokenHasher().hash(hashToken(token.plaintext, pepper), {
    algorithm: "bcrypt",
    rounds: 4,
  });
  const columns = `hash = '\\x${hash.toString("hex")}', hash_algorithm = 'bcrypt'`;
  await changeByHand(databaseUrl, token, columns);
  return token.plaintext;
}

/** What anybody on the machine can see of its processes, and the environment of one of them and of those that it has started. */
function readProcesses(parent: number): string {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const read = (pid: string | number, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "latin1");
    } catch {
      return ""; // it has ended
    }
  };
  const family = new Set([String(parent)]);
  const parentOf = (pid: string) => /\) \S (\d+)/.exec(read(pid, "stat"))?.[1] ?? "";
  // A child has a higher number than its parent, unless numbers have begun again.
  for (const pid of pids.sort((a, b) => Number(a) - Number(b))) if (family.has(parentOf(pid))) family.add(pid);
  return [...pids.map((pid) => read(pid, "cmdline")), ...[...family].map((pid) => read(pid, "environ"))].join("\n");
}

/** What the server shows of its sessions. */
async function readSessions(databaseUrl: string): Promise<string> {
  return JSON.stringify(await runAsSuperuser(databaseUrl, "select application_name, query from pg_stat_activity"));
}

/** The rows of all tables but the one that holds the hashes. */
async function readTables(databaseUrl: string): Promise<string> {
  const tables = await runAsSuperuser<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'tokens'`,
  );
  const rows = tables.map(({ name }) => runAsSuperuser(databaseUrl, `select t::text from ${name} t`));
  return JSON.stringify(await Promise.all(rows));
}

/** What a snapshot holds once it is opened. */
async function openSnapshot(path: string): Promise<string> {
  let texts = "";
  for await (const text of readSnapshotFile(path, keyring, SNAPSHOT_LIMIT_BYTES)) texts += text;
  return texts;
}

test("no token, hash or key is where anybody else can read it, whatever is asked and whatever fails", async ({
  databaseUrl,
  network,
  signing,
  verifier,
}) => {
  const client = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect,apitoken:explain}'");
  const good = await issueByHand(databaseUrl, keyring);
  const dead = await issueByHand(databaseUrl, keyring, "revoked_at = now()");
  const expired = await issueByHand(databaseUrl, keyring, "expires_at = now() - interval '1 minute'");
  const live = good.plaintext;
  const stranger = createToken().plaintext;
  const whole = [live, dead.plaintext, expired.plaintext, await issueWithBcrypt(databaseUrl), stranger];
  whole.push(stranger.replace(stranger.slice(4, 16), good.id), glass.plaintext, `${live.slice(0, -1)}~`);
  const secrets = await listSecrets({
    databaseUrl,
    keyring,
    tokens: [...whole, client.plaintext],
    signingKeyFile: signing.APITOKEN_VERIFIER_SIGNING_KEY,
    breakGlassHashes: [glass.entry.sha256],
  });
  const ask = () => askEverywhere(verifier, [...whole, live.slice(0, 59)], client.plaintext);

  const answers = await ask();
  expect(answers.some((answer) => answer.includes('["x-auth-owner","alice"]'))).toBe(true);
  expect(
    answers.some((answer) => answer.includes('"aud":"orders"')),
    "the claims of a JWT",
  ).toBe(true);
  const processes = [readProcesses(verifier.pid)];
  const sessions = await readSessions(databaseUrl);
  for (const mode of ["refuse", "stall"] as const) {
    await network.setMode({ kind: mode });
    answers.push(...(await ask()), ...(await endEverywhere(verifier, live)));
  }
  await network.setMode({ kind: "pass" });
  network.reset();
  writeFileSync(verifier.keyringFile, `{"peppers":"${live}"}`);
  await eventually(() => expect(verifier.readLog()).toContain("the keyring cannot be read"));
  answers.push(...(await ask()), ...(await endEverywhere(verifier, live)));
  const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
  processes.push(readProcesses(verifier.pid));
  await verifier.stop(); // so that uses and refusals have been reported, whatever was given for an address
  expect(await runAsSuperuser(databaseUrl, "select token_id from apitoken.token_uses")).not.toEqual([]);

  expectNoSecret(answers.join("\n"), "an answer", secrets);
  expectNoSecret(metrics, "the metrics", secrets);
  expect(verifier.readLog()).toContain("a break-glass token was used");
  expectNoSecret(verifier.readLog(), "the log", secrets);
  expect(processes[0]).toContain("APITOKEN_VERIFIER_SNAPSHOT_DIR");
  expectNoSecret(processes.join("\n"), "a process", secrets);
  expectNoSecret(sessions, "a session of the database", secrets);
  expectNoSecret(await readTables(databaseUrl), "the database", secrets);
  const snapshot = join(verifier.folder, "memory.snapshot");
  expectNoSecret(readFileSync(snapshot), "the snapshot", secrets);
  expect(await openSnapshot(snapshot)).toContain(hashToken(live, pepper).toString("base64"));
});
