/*
 * The cleanup is tested as the program that a CronJob would run: exit codes, signals and kills are half of its
 * promises.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { RunReport } from "../../../src/cleanup/report/report.ts";
import { insertTokenRows, type TokenRows } from "../../support/token-rows.ts";

export interface FinishedProgram {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What `--output json` printed. */
  readonly report: RunReport;
}

/** The real program, as a CronJob would run it. */
export interface CleanupProgram {
  readonly process: ChildProcess;
  readonly ended: Promise<FinishedProgram>;
}

const PROGRAM = fileURLToPath(new URL("../../../src/cleanup/main.ts", import.meta.url));

export function startCleanup(url: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): CleanupProgram {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, DATABASE_URL: url, ...env },
  });
  const exitCode = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const ended = Promise.all([exitCode, text(child.stdout), text(child.stderr)]).then(([code, stdout, stderr]) => ({
    exitCode: code,
    stdout,
    stderr,
    get report() {
      return JSON.parse(stdout) as RunReport;
    },
  }));
  return { process: child, ended };
}

export function runCleanup(url: string, args?: readonly string[], env?: NodeJS.ProcessEnv): Promise<FinishedProgram> {
  return startCleanup(url, args, env).ended;
}

/** The names of the existing rows, sorted. */
export async function findNames(url: string): Promise<string[]> {
  const rows = await runAsSuperuser<{ name: string }>(
    url,
    'select name from apitoken.tokens order by name collate "C"',
  );
  return rows.map((row) => row.name);
}

/** Inserts rows and records their names, so that a test can find out which have been deleted. */
export async function insertTokens(url: string, kinds: readonly TokenRows[]): Promise<void> {
  await insertTokenRows(url, kinds);
  await runAsSuperuser(url, "create table if not exists public.remembered (id text primary key, name text)");
  await runAsSuperuser(
    url,
    "insert into public.remembered select id, name from apitoken.tokens on conflict do nothing",
  );
}

/** The tokens that the audit trail says the cleanup has deleted, in the order of their names. */
export function findCleaned(url: string): Promise<{ name: string; reason: string; actor: string; token_id: string }[]> {
  return runAsSuperuser(
    url,
    `select r.name, c.reason, c.actor, c.row_key as token_id
     from apitoken.cleaned_rows c left join public.remembered r on r.id = c.row_key
     where c.table_name = 'apitoken.tokens' order by r.name collate "C", c.batch`,
  );
}

export interface RunRow {
  id: string;
  started_at: Date;
  finished_at: Date | null;
  outcome: string | null;
  deleted: string;
  targets: RunReport["targets"];
  error: string | null;
}

/** The rows of cleanup_runs, oldest first. */
export function findRuns(url: string): Promise<RunRow[]> {
  return runAsSuperuser(url, "select * from apitoken.cleanup_runs order by id");
}

/** Waits until a condition in the database comes true; the condition is SQL. */
export async function isTrue(url: string, condition: string): Promise<boolean> {
  const [row] = await runAsSuperuser<{ holds: boolean }>(url, `select (${condition}) as holds`);
  return row?.holds ?? false;
}
