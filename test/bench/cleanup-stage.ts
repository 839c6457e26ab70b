/*
 * The four benches of the cleanup need the same server and the same table, and the program run as its image runs it.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type PostgresServer, runAsSuperuser } from "../../local/postgres-server.ts";
import { countDeleted, type RunReport } from "../../src/cleanup/report/report.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { DUE, insertTokenRows, KEPT } from "../support/token-rows.ts";
import { time } from "./figures.ts";

/** As in production: durable, and with memory for the table; but without a checkpoint in the middle of a measurement. */
export const DURABLE_SETTINGS = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  shared_buffers: "2GB",
  max_wal_size: "16GB",
  checkpoint_timeout: "1h",
};

/** What a team would write by hand, with the retention that the cleanup has by default. */
const RAW_DELETE = `delete from apitoken.tokens
  where expires_at <= now() - interval '7 days' or revoked_at <= now() - interval '7 days'`;

/** A database of the name with a table of which every second row is dead, scattered. */
export async function fillTemplate(postgres: PostgresServer, name: string, rows: number): Promise<void> {
  const url = await postgres.createDatabase(name);
  await migrate({ url });
  await insertTokenRows(url, [
    { prefix: "live", count: rows / 2, ...KEPT.live },
    { prefix: "expired", count: rows / 4, ...DUE.expired },
    { prefix: "revoked", count: rows / 4, ...DUE.revoked },
  ]);
  await runAsSuperuser(url, "vacuum (freeze, analyze) apitoken.tokens");
}

/** A copy, block by block; afterwards its table is in memory, and everything written is on disk. */
export async function copyTemplate(postgres: PostgresServer, template: string, rows: number): Promise<string> {
  await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
  const url = await postgres.createDatabase("measured", template);
  await runAsSuperuser(url, "checkpoint");
  const [read] = await runAsSuperuser<{ count: string }>(url, "select count(hash) from apitoken.tokens");
  if (Number(read?.count) !== rows) throw new Error(`the copy has ${read?.count} rows, not ${rows}`);
  return url;
}

/** For the deletion alone: neither way includes the counts before and after, or the vacuum. */
export interface Measurement {
  readonly deleted: number;
  readonly elapsedMs: number;
}

export async function deleteRaw(url: string): Promise<Measurement> {
  const count = async () =>
    Number((await runAsSuperuser<{ count: string }>(url, "select count(*) from apitoken.tokens"))[0]?.count);
  const before = await count();
  const elapsedMs = await time(() => runAsSuperuser(url, RAW_DELETE));
  return { deleted: before - (await count()), elapsedMs };
}

/** For the process that runs the bundled program. */
export interface ProgramMeasurement extends Measurement {
  readonly report: RunReport;
  /** Its memory at its peak, and how much it grew over the second half of the run. */
  readonly rssMib: number;
  readonly rssGrowthMib: number;
}

const RSS_INTERVAL_MS = 50;

export async function runProgram(
  url: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<ProgramMeasurement> {
  const program = fileURLToPath(new URL("../../dist/cleanup.js", import.meta.url));
  const child = spawn(process.execPath, [program, "--output", "json", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, DATABASE_URL: url, APITOKEN_LOG_LEVEL: "warn", ...env },
  });
  const samples: number[] = [];
  const sampler = setInterval(() => {
    const rss = readRssMib(child.pid ?? 0);
    if (rss !== undefined) samples.push(rss);
  }, RSS_INTERVAL_MS);
  const output = await text(child.stdout);
  clearInterval(sampler);
  const report = JSON.parse(output) as RunReport;
  const target = report.targets.at(-1);
  if (report.outcome !== "succeeded" || target === undefined)
    throw new Error(`cleanup ${report.outcome}: ${report.message}`);
  const half = samples.slice(Math.floor(samples.length / 2));
  return {
    report,
    deleted: countDeleted(target),
    elapsedMs: target.durationMs,
    rssMib: Math.max(...samples),
    rssGrowthMib: (half.at(-1) ?? 0) - (half[0] ?? 0),
  };
}

/** Undefined if there is no /proc or no such process. */
function readRssMib(pid: number): number | undefined {
  try {
    const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1_024;
  } catch {
    return undefined;
  }
}
