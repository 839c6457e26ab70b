import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { RunReport } from "../../src/cleanup/report.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { type PostgresServer, runAsSuperuser, startPostgres } from "../support/postgres-server.ts";
import { DUE, insertTokenRows, KEPT } from "../support/token-rows.ts";
import { type Figures, median, time } from "./figures.ts";

const ROUNDS = 3;

/** A server as one runs it: durable, with memory for the table, and no checkpoint in the middle of a measurement. */
const SETTINGS = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  shared_buffers: "1GB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
};

/** What a team would write by hand, with the retention that the cleanup has by default. */
const RAW_DELETE = `delete from apitoken.tokens
  where expires_at <= now() - interval '7 days' or revoked_at <= now() - interval '7 days'`;

/** By hand, and the program with one audit row for each batch, and for each token. */
const WAYS = ["raw", "summary", "rows"] as const;

/**
 * A table of which every second row is dead, scattered: rows per second of the bundled program, with an audit row for
 * each batch and for each token, over those of one raw DELETE. Each measurement has its own copy of the same database.
 */
export async function benchCleanup(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: SETTINGS });
  try {
    tell(`filling a table with ${rows} rows`);
    await fillTemplate(postgres, rows);
    const rates = { raw: [] as number[], summary: [] as number[], rows: [] as number[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const way of WAYS) {
        const url = await copyTemplate(postgres, rows);
        const { deleted, elapsedMs } = way === "raw" ? await deleteRaw(url) : await runCleanup(url, way);
        if (deleted !== rows / 2) throw new Error(`${way} deleted ${deleted} rows, not ${rows / 2}`);
        rates[way].push(deleted / (elapsedMs / 1_000));
      }
      const shown = WAYS.map((way) => `${way} ${Math.round((rates[way].at(-1) ?? 0) / 1_000)}k`);
      tell(`round ${round + 1}, rows/s: ${shown.join(", ")}`);
    }
    const overRaw = (values: readonly number[]) => median(values) / median(rates.raw);
    return {
      cleanup_raw_rows_per_second: Math.round(median(rates.raw)),
      cleanup_summary_rows_per_second: Math.round(median(rates.summary)),
      cleanup_rows_rows_per_second: Math.round(median(rates.rows)),
      cleanup_summary_over_raw: overRaw(rates.summary),
      cleanup_rows_over_raw: overRaw(rates.rows),
    };
  } finally {
    await postgres.stop();
  }
}

async function fillTemplate(postgres: PostgresServer, rows: number): Promise<void> {
  const url = await postgres.createDatabase("filled");
  await migrate(url);
  await insertTokenRows(url, [
    { prefix: "live", count: rows / 2, ...KEPT.live },
    { prefix: "expired", count: rows / 4, ...DUE.expired },
    { prefix: "revoked", count: rows / 4, ...DUE.revoked },
  ]);
  await runAsSuperuser(url, "vacuum (freeze, analyze) apitoken.tokens");
}

/** A copy, block by block, whose table is in memory and whose writes are on disk. */
async function copyTemplate(postgres: PostgresServer, rows: number): Promise<string> {
  await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
  const url = await postgres.createDatabase("measured", "filled");
  await runAsSuperuser(url, "checkpoint");
  const [read] = await runAsSuperuser<{ count: string }>(url, "select count(hash) from apitoken.tokens");
  if (Number(read?.count) !== rows) throw new Error(`the copy has ${read?.count} rows, not ${rows}`);
  return url;
}

/** Of the deletion alone: counting before and after and vacuum are not in it, for neither way. */
interface Measurement {
  readonly deleted: number;
  readonly elapsedMs: number;
}

async function deleteRaw(url: string): Promise<Measurement> {
  const count = async () =>
    Number((await runAsSuperuser<{ count: string }>(url, "select count(*) from apitoken.tokens"))[0]?.count);
  const before = await count();
  const elapsedMs = await time(() => runAsSuperuser(url, RAW_DELETE));
  return { deleted: before - (await count()), elapsedMs };
}

async function runCleanup(url: string, audit: "summary" | "rows"): Promise<Measurement> {
  const program = fileURLToPath(new URL("../../dist/cleanup.js", import.meta.url));
  const child = spawn(process.execPath, [program, "--output", "json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, DATABASE_URL: url, APITOKEN_CLEANUP_AUDIT: audit, APITOKEN_LOG_LEVEL: "warn" },
  });
  const report = JSON.parse(await text(child.stdout)) as RunReport;
  const [target] = report.targets;
  if (report.outcome !== "succeeded" || target === undefined) throw new Error(`cleanup ${report.outcome}`);
  const deleted = target.deleted.expired + target.deleted.revoked;
  return { deleted, elapsedMs: target.durationMs };
}
