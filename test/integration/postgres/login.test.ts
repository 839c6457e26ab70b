import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser, startPostgres } from "../../../local/postgres-server.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";

const MIGRATE = fileURLToPath(new URL("../../../src/migrate/main.ts", import.meta.url));

let url: string;
let folder: string;
let passwordFile: string;
let login: string;
let undo: (() => unknown)[] = [];

beforeEach(async () => {
  url = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "apitoken-login-"));
  passwordFile = join(folder, "password");
  login = `login_${randomBytes(6).toString("hex")}`;
  await runAsSuperuser(url, `create role ${login} login password 'first/#%@' in role apitoken_verifier`);
  undo.push(() => runAsSuperuser(url, `drop role ${login}`));
  undo.push(() => rmSync(folder, { recursive: true }));
});
afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});

/** The database's URL for the login, without a password. */
function passwordless(): string {
  const bare = new URL(url);
  bare.username = login;
  bare.password = "";
  return bare.href;
}

function open(address: string) {
  const db = openDatabase({ url: address, passwordFile, role: "apitoken_verifier", actor: "test", maxConnections: 5 });
  undo.push(() => db.close());
  return db;
}

const WHO = { text: "select session_user::text as login, current_user::text as role" };

test("a password file is read for each connection, so a rotation needs no restart", async () => {
  const db = open(passwordless());
  writeFileSync(passwordFile, "first/#%@\n");
  await db.withConnection(async (first) => {
    expect(await first.query(WHO)).toEqual([{ login, role: "apitoken_verifier" }]);

    await runAsSuperuser(url, `alter role ${login} password 'second'`);
    await expect(db.query(WHO)).rejects.toMatchObject({ code: "28P01" });
    writeFileSync(passwordFile, "second");
    expect(await db.query(WHO)).toEqual([{ login, role: "apitoken_verifier" }]);
    expect(await first.query(WHO)).toHaveLength(1);
  });
});

test("it takes the place of the URL's password", async () => {
  writeFileSync(passwordFile, "first/#%@");
  const wrong = new URL(passwordless());
  wrong.password = "wrong";
  expect(await open(wrong.href).query(WHO)).toHaveLength(1);
});

test("a password file that is not there yet is waited for, like the database", async () => {
  const db = open(passwordless());
  await expect(db.query(WHO)).rejects.toMatchObject({ name: "DatabaseUnavailableError", cause: { code: "ENOENT" } });
  writeFileSync(passwordFile, "first/#%@");
  expect(await db.query(WHO)).toHaveLength(1);
});

function startMigrate(address: string, args: readonly string[] = []) {
  const child = spawn(process.execPath, [MIGRATE, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, DATABASE_URL: address, APITOKEN_DATABASE_PASSWORD_FILE: passwordFile },
  });
  undo.push(() => child.kill("SIGKILL"));
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += chunk));
  const exitCode = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { exitCode, stdout: text(child.stdout), readStderr: () => stderr };
}

test("migrate waits for a database that starts later, and logs in with a password file", async () => {
  const server = await startPostgres();
  undo.push(() => server.stop());
  const address = new URL(await server.createDatabase("tokens"));
  writeFileSync(passwordFile, address.password);
  address.password = "";
  await server.pause();

  const impatient = startMigrate(address.href);
  expect(await impatient.exitCode).toBe(1);
  expect(impatient.readStderr()).toContain("the database is not available");

  const patient = startMigrate(address.href, ["--wait", "1m"]);
  await eventually(() => patient.readStderr().includes("waiting for it"));
  await server.resume();
  expect(await patient.exitCode, patient.readStderr()).toBe(0);
  expect(await patient.stdout).toContain("ran 0001_schema");
});

test("migrate explains what is wrong with --wait", async () => {
  const program = startMigrate(passwordless(), ["--wait", "soon"]);
  expect(await program.exitCode).toBe(2);
  expect(program.readStderr()).toContain('--wait is "soon": ');
});
