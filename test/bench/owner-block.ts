/*
 * Offboarding must not take hours because somebody had many tokens, and must not stop the work for everybody else. What
 * others notice is measured while it is running: how long a new ApiToken takes to become Ready, and how long a look-up takes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { OWNER_BLOCKS_PATH, type OwnerBlock } from "../../src/kube/resources/owner-block.ts";
import { openDatabase } from "../../src/postgres/database.ts";
import { findTokens } from "../../src/postgres/verification.ts";
import type { BlockConditionType } from "../../src/token/block-reasons.ts";
import { eventually } from "../support/eventually.ts";
import { anApiToken } from "./create.ts";
import { type Figures, time } from "./figures.ts";
import { type BenchStage, startBenchStage } from "./stage.ts";

const ROWS = 200_000;
const IDLE_MS = 15_000;
const LIMIT_MS = 600_000;
const OWNER = "leaver";

/** Rows of one owner with the event of their issue, as if the controller had issued them over time: nothing is notified. */
const FILL = `with quiet as (select set_config('session_replication_role', 'replica', false)),
  made as (
    insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, hash,
      hash_algorithm, key_id, issued_at, expires_at)
    select left(md5('leaver' || n), 12), cluster_id, 'elsewhere', 'many-' || n, gen_random_uuid(), 1, '${OWNER}',
      '{orders:read}', sha256(('leaver' || n)::bytea), 'hmac-sha256', 'k', now(), now() + interval '30 days'
    from quiet, (select cluster_id from apitoken.leader_epoch) as here, generate_series(1, $1::integer) as n
    returning *)
  insert into apitoken.security_events (event, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, detail)
  select 'TokenIssued', 'bench', cluster_id, namespace, name, resource_uid, id, revision, owner,
    jsonb_build_object('expiresAt', expires_at, 'scopes', scopes) from made`;

/** Latencies in milliseconds. */
interface Latencies {
  readonly readyP95: number;
  readonly lookupP99: number;
}

/** Blocks, and then erases, an owner with 200,000 rows: how long each takes, and what others notice. */
export async function benchOwnerBlock(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    const controller = await stage.startController();
    await createOne(stage, "first", 0); // then the controller has a cluster in the database
    tell(`filling the database with ${ROWS} rows of one owner`);
    await runAsSuperuser(stage.databaseUrl, FILL, [ROWS]);
    await runAsSuperuser(stage.databaseUrl, "vacuum analyze");
    await measureOthers(stage, "warm-up", delay(3_000));
    const idle = await measureOthers(stage, "idle", delay(IDLE_MS));
    tell(`others, idle: ${show(idle)}`);

    const block = await measure(stage, "Effective", "block", () =>
      stage.transport.request("POST", OWNER_BLOCKS_PATH, {
        body: {
          apiVersion: "apitoken.dev/v1alpha1",
          kind: "OwnerBlock",
          metadata: { name: OWNER },
          spec: { owner: OWNER },
        },
      }),
    );
    tell(`blocked in ${block.seconds.toFixed(1)} s; others: ${show(block.others)}`);
    const erase = await measure(stage, "Erased", "erase", () =>
      stage.transport.request("PATCH", `${OWNER_BLOCKS_PATH}/${OWNER}`, {
        contentType: "application/merge-patch+json",
        body: { spec: { erase: true } },
      }),
    );
    tell(`erased in ${erase.seconds.toFixed(1)} s; others: ${show(erase.others)}`);
    await controller.stop();
    const { status } = await stage.transport.request<OwnerBlock>("GET", `${OWNER_BLOCKS_PATH}/${OWNER}`);
    if (status?.tokensRevoked !== ROWS) throw new Error(`only ${status?.tokensRevoked} tokens were ended`);
    return {
      owner_block_seconds: block.seconds,
      owner_erase_seconds: erase.seconds,
      owner_block_idle_ready_p95_ms: idle.readyP95,
      owner_block_ready_p95_ms: block.others.readyP95,
      owner_erase_ready_p95_ms: erase.others.readyP95,
      owner_block_idle_lookup_p99_ms: idle.lookupP99,
      owner_block_lookup_p99_ms: block.others.lookupP99,
      owner_erase_lookup_p99_ms: erase.others.lookupP99,
    };
  } finally {
    await stage.stop();
  }
}

/** Starts the work, and measures others until the condition is True. */
async function measure(
  stage: BenchStage,
  type: BlockConditionType,
  prefix: string,
  begin: () => Promise<unknown>,
): Promise<{ seconds: number; others: Latencies }> {
  const isDone = async () => {
    const { status } = await stage.transport.request<OwnerBlock>("GET", `${OWNER_BLOCKS_PATH}/${OWNER}`);
    return status?.conditions?.find((condition) => condition.type === type)?.status === "True";
  };
  let ms = 0;
  const work = time(async () => {
    await begin();
    await eventually(isDone, { timeoutMs: LIMIT_MS, intervalMs: 100 });
  }).then((taken) => {
    ms = taken;
  });
  const others = await measureOthers(stage, prefix, work);
  return { seconds: ms / 1_000, others };
}

/** What others notice until the work has ended; a new ApiToken every quarter of a second, a look-up every ten milliseconds. */
async function measureOthers(stage: BenchStage, prefix: string, work: Promise<unknown>): Promise<Latencies> {
  const ended = new AbortController();
  const ready = repeat(ended.signal, 250, (number) => createOne(stage, prefix, number));
  const lookups = lookUp(stage, ended.signal);
  await work.finally(() => ended.abort());
  return { readyP95: percentile(await ready, 95), lookupP99: percentile(await lookups, 99) };
}

async function createOne({ transport }: BenchStage, prefix: string, number: number): Promise<void> {
  const body = anApiToken("watched", prefix, number);
  const path = apiTokensPath("watched");
  await transport.request("POST", path, { body });
  await eventually(
    async () => {
      const { status } = await transport.request<ApiToken>("GET", `${path}/${body.metadata.name}`);
      return (
        status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") === true
      );
    },
    { timeoutMs: 60_000, intervalMs: 10 },
  );
}

/** Look-ups of a token as a verifier makes them. */
async function lookUp({ databaseUrl }: BenchStage, end: AbortSignal): Promise<number[]> {
  const db = openDatabase({ url: databaseUrl, role: "apitoken_verifier", actor: "bench", maxConnections: 1 });
  const [row] = await runAsSuperuser<{ id: string }>(databaseUrl, "select min(id) as id from apitoken.tokens");
  try {
    return await repeat(end, 10, () => findTokens(db, [row?.id ?? ""]));
  } finally {
    await db.close();
  }
}

/** Repeats the work, one at a time and at most once in `everyMs`, until the end; returns how long each took. */
async function repeat(
  end: AbortSignal,
  everyMs: number,
  work: (number: number) => Promise<unknown>,
): Promise<number[]> {
  const taken: number[] = [];
  for (let number = 0; !end.aborted; number += 1) {
    const ms = await time(() => work(number));
    taken.push(ms);
    await delay(Math.max(everyMs - ms, 0), undefined, { signal: end }).catch(() => {});
  }
  return taken;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(Math.floor((sorted.length * percent) / 100), sorted.length - 1)] ?? Number.NaN;
}

function show({ readyP95, lookupP99 }: Latencies): string {
  return `Ready after ${readyP95.toFixed(0)} ms (p95), look-up ${lookupP99.toFixed(1)} ms (p99)`;
}
