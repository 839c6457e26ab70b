import { expect, inject, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { findFreePorts } from "../../../local/processes.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";

test.each([
  [["--retention", "7d"], {}, "unknown option --retention"],
  [["now"], {}, 'unknown command "now"'],
  [["--output", "yaml"], {}, '--output is "yaml": must be text or json'],
  [["--max-fraction", "90 %"], {}, '--max-fraction is "90 %": must be a number from 0 to 1'],
  [[], { DATABASE_URL: "" }, "DATABASE_URL is not set: say where the database is"],
  [[], { APITOKEN_CLEANUP_AUDIT: "all" }, 'APITOKEN_CLEANUP_AUDIT is "all": must be rows, summary or none'],
  [
    [],
    { APITOKEN_CLEANUP_RETENTION_EXPIRED: "week" },
    'APITOKEN_CLEANUP_RETENTION_EXPIRED is "week": must be a number',
  ],
])("%j with %j is bad configuration, and the message explains how to correct it", async (args, env, message) => {
  const { exitCode, stderr, stdout } = await runCleanup("postgres://nobody@127.0.0.1:1/nothing", args, env);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain('Run "cleanup --help" for options and settings.');
  expect(stdout).toBe("");
});

function changeUrl(change: (url: URL) => void): string {
  const url = new URL(inject("servers").postgresUrl);
  change(url);
  return url.href;
}

test.each<[string, () => string, string]>([
  ["a wrong password", () => changeUrl((url) => (url.password = "wrong")), "DATABASE_URL: the password is wrong"],
  [
    "no such database",
    () => changeUrl((url) => (url.pathname = "/missing")),
    "DATABASE_URL: there is no such database",
  ],
])("%s is bad configuration", async (_fault, url, message) => {
  const { exitCode, stderr } = await runCleanup(url());
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});

test("a login that is not a member of the role is bad configuration, and the message has the grant", async () => {
  const url = new URL(await createTestDatabase());
  await runAsSuperuser(url.href, "create role stranger login password 'test'");
  const stranger = Object.assign(new URL(url), { username: "stranger", password: "test" });
  const { exitCode, stderr } = await runCleanup(stranger.href);
  await runAsSuperuser(url.href, "drop role stranger");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("grant apitoken_cleanup to it");
});

test("a database without our schema fails the run, and the message names the remedy", async () => {
  const { exitCode, stderr } = await runCleanup(inject("servers").postgresUrl);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('run "migrate" first');
});

test("an unreachable server fails the run", async () => {
  const [port] = await findFreePorts(1);
  const { exitCode, stderr } = await runCleanup(`postgres://cleanup@127.0.0.1:${port}/tokens`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("the database is not available (ECONNREFUSED)");
});

test("--help names every option and setting, --version the version; neither needs a setting", async () => {
  const help = await runCleanup("", ["--help"]);
  expect(help.exitCode).toBe(0);
  for (const word of [
    "--dry-run",
    "--max-fraction",
    "DATABASE_URL",
    "APITOKEN_CLEANUP_AUDIT_RETENTION",
    "Exit codes",
  ]) {
    expect(help.stdout).toContain(word);
  }
  expect((await runCleanup("", ["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
