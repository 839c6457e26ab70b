/*
 * The cleanup shares its database with programs that serve users. How fast it deletes matters less than what they notice
 * of it.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { runAsSuperuser, startPostgres } from "../../local/postgres-server.ts";
import { eventually } from "../support/eventually.ts";
import { copyTemplate, DURABLE_SETTINGS, deleteRaw, fillTemplate, runProgram } from "./cleanup-stage.ts";
import { type Figures, median } from "./figures.ts";

const READS_PER_SECOND = 500;
const INSERTS_PER_SECOND = 100;
const IDLE_MS = 5_000;
const ROUNDS = 5;

/** The 99th percentile, in milliseconds. */
interface Latencies {
  readonly readP99: number;
  readonly insertP99: number;
}

/**
 * What others notice: reads by primary key and inserts into the same table at a steady rate, while nothing else happens,
 * during one raw DELETE, and during a run, from its first connection to its last. Latency counts from the moment a
 * statement is sent; no statement waits for the one before.
 */
export async function benchBystander(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  try {
    tell(`filling a table with ${rows} rows`);
    await fillTemplate(postgres, "filled", rows);
    const found = {
      readRaw: [] as number[],
      insertRaw: [] as number[],
      readOurs: [] as number[],
      insertOurs: [] as number[],
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      const raw = await watch(await copyTemplate(postgres, "filled", rows), async (url) => ({ ended: deleteRaw(url) }));
      const ours = await watch(await copyTemplate(postgres, "filled", rows), runBesides);
      found.readRaw.push(raw.during.readP99 / raw.idle.readP99);
      found.insertRaw.push(raw.during.insertP99 / raw.idle.insertP99);
      found.readOurs.push(ours.during.readP99 / ours.idle.readP99);
      found.insertOurs.push(ours.during.insertP99 / ours.idle.insertP99);
      const show = ({ readP99, insertP99 }: Latencies) => `${readP99.toFixed(2)} / ${insertP99.toFixed(2)} ms`;
      tell(
        `round ${round + 1}, p99 of reads / inserts: idle ${show(ours.idle)}, raw ${show(raw.during)}, ours ${show(ours.during)}`,
      );
    }
    return {
      bystander_raw_read_p99_over_idle: median(found.readRaw),
      bystander_raw_insert_p99_over_idle: median(found.insertRaw),
      bystander_read_p99_over_idle: median(found.readOurs),
      bystander_insert_p99_over_idle: median(found.insertOurs),
    };
  } finally {
    await postgres.stop();
  }
}

/** Only here the program runs on the database's machine: what its start costs before it connects must not be counted. */
async function runBesides(url: string): Promise<{ readonly ended: Promise<unknown> }> {
  const ended = runProgram(url, [], {});
  const isConnected = "select 1 from pg_stat_activity where application_name = 'cleanup' and datname = 'measured'";
  await eventually(async () => (await runAsSuperuser(url, isConnected)).length > 0, { intervalMs: 5 });
  return { ended };
}

async function watch(
  url: string,
  begin: (url: string) => Promise<{ readonly ended: Promise<unknown> }>,
): Promise<{ idle: Latencies; during: Latencies }> {
  await measure(url, delay(1_000)); // connections, caches
  const idle = await measure(url, delay(IDLE_MS));
  const { ended } = await begin(url);
  return { idle, during: await measure(url, ended) };
}

async function measure(url: string, work: Promise<unknown>): Promise<Latencies> {
  const ended = new AbortController();
  const reads = bystand(url, READS_PER_SECOND, ended.signal, (number) => ({
    name: "read",
    text: "select * from apitoken.tokens where id = (select substr(translate(encode(sha256(convert_to($1, 'UTF8')), 'base64'), '+/', 'xy'), 1, 12))",
    values: [`live-${1 + ((number * 7_919) % 100_000)}`],
  }));
  const inserts = bystand(url, INSERTS_PER_SECOND, ended.signal, () => ({
    name: "insert",
    text: `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
                                        key_id, issued_at, expires_at)
           select left(md5(uid::text), 12), uid, 'bystander', 'bystander', uid, 1, 'bystander', sha256(uid::text::bytea),
                  'hmac-sha256', 'k1', now(), now() + interval '30 days' from gen_random_uuid() as uid`,
    values: [],
  }));
  await work;
  ended.abort();
  return { readP99: p99(await reads), insertP99: p99(await inserts) };
}

const CONNECTIONS = 4;

/** Sends statements at a steady rate, even if earlier ones have not been answered; returns how long each took. */
async function bystand(
  url: string,
  perSecond: number,
  end: AbortSignal,
  statement: (number: number) => pg.QueryConfig,
): Promise<number[]> {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.query("select pg_sleep(0.05)")));
  const latencies: number[] = [];
  const running = new Set<Promise<void>>();
  const startedAtMs = performance.now();
  for (let number = 0; !end.aborted; number += 1) {
    const dueAtMs = startedAtMs + (number * 1_000) / perSecond;
    const waitMs = dueAtMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const sentAtMs = performance.now();
    const sent = pool.query(statement(number)).then(() => {
      latencies.push(performance.now() - sentAtMs);
      running.delete(sent);
    });
    running.add(sent);
  }
  await Promise.all(running);
  await pool.end();
  return latencies;
}

function p99(latencies: readonly number[]): number {
  const sorted = [...latencies].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? Number.NaN;
}
