/*
 * Whoever fills the queue must not decide how long everybody else waits: these figures are what others notice of a crowd
 * that waits, of a lock that is stuck, and of ApiTokens that wait for something that nobody reports.
 */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { secretsPath } from "../../src/kube/resources/secret-api.ts";
import { eventually } from "../support/eventually.ts";
import { anApiToken } from "./create.ts";
import { type Figures, time } from "./figures.ts";
import { readController } from "./metrics.ts";
import { readProcess } from "./process.ts";
import { type BenchController, type BenchStage, runMany, startBenchStage } from "./stage.ts";

const CROWDS = [1_000, 1_900];
const LOCKED_MS = 25_000;
const CONFLICTS = 800;
const SETTLING_MS = 60_000;
const WATCHED_SECONDS = 60;

export async function benchFairness(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  const figures: Figures = {};
  try {
    for (const crowd of CROWDS) Object.assign(figures, await measureRevocation(stage, crowd, tell));
    const controller = await stage.startController(["watched", "elsewhere"]);
    await untilIdle(controller); // it looks at everything once when it starts
    Object.assign(figures, await measureLockedOwner(stage, tell));
    Object.assign(figures, await measureConflicts(stage, controller, tell));
    await controller.stop();
    return figures;
  } finally {
    await stage.stop();
  }
}

/** From `spec.revoked` of an ApiToken to the revocation of its row, while that many others wait to be issued. */
async function measureRevocation(stage: BenchStage, crowd: number, tell: (text: string) => void): Promise<Figures> {
  const name = `revoked-${crowd}`;
  let controller = await stage.startController(["watched", "elsewhere"]);
  await apply(stage, "elsewhere", name);
  await untilReady(stage, "elsewhere", name);
  await controller.stop();
  await runMany(crowd, 16, (index) => apply(stage, "watched", `crowd-${crowd}-${index}`));

  controller = await stage.startController(["watched", "elsewhere"]);
  await eventually(async () => (await countRows(stage, crowd)) > 0, { timeoutMs: 60_000, intervalMs: 10 });
  const issuedBefore = await countRows(stage, crowd);
  const revocationMs = await time(async () => {
    await stage.transport.request("PATCH", `${apiTokensPath("elsewhere")}/${name}`, {
      contentType: "application/merge-patch+json",
      body: { spec: { revoked: true } },
    });
    await eventually(() => isRevoked(stage, name), { timeoutMs: 120_000, intervalMs: 10 });
  });
  const issuedMeanwhile = (await countRows(stage, crowd)) - issuedBefore;
  tell(
    `${crowd} wait, ${issuedBefore} issued: revoked after ${Math.round(revocationMs)} ms, ${issuedMeanwhile} issues later`,
  );
  await eventually(async () => (await countRows(stage, crowd)) === crowd, { timeoutMs: 300_000, intervalMs: 250 });
  await controller.stop();
  return { [`revocation_ms_of_${crowd}`]: revocationMs, [`revocation_issues_of_${crowd}`]: issuedMeanwhile };
}

/** How long others wait for their tokens, at most, while somebody holds the lock of an owner with 100 ApiTokens. */
async function measureLockedOwner(stage: BenchStage, tell: (text: string) => void): Promise<Figures> {
  const holder = new pg.Client({ connectionString: stage.databaseUrl });
  await holder.connect();
  try {
    await holder.query("begin");
    await holder.query("select apitoken.lock_owner('locked')");
    const endsAtMs = performance.now() + LOCKED_MS;
    await runMany(100, 16, (index) => apply(stage, "watched", `locked-${index}`, "locked"));
    const waits: number[] = [];
    while (performance.now() < endsAtMs) {
      const name = `unrelated-${waits.length}`;
      waits.push(
        await time(async () => {
          await apply(stage, "watched", name);
          await untilReady(stage, "watched", name);
        }),
      );
      await delay(500);
    }
    await holder.query("commit");
    const recoveryMs = await time(() => untilReady(stage, "watched", "locked-99"));
    tell(`${waits.length} unrelated ApiTokens were Ready after ${waits.map(Math.round).join(", ")} ms`);
    return { locked_owner_others_ms: Math.max(...waits), locked_owner_recovery_ms: recoveryMs };
  } finally {
    await holder.end();
  }
}

/** What 800 ApiTokens whose Secret's name is taken cost, a minute after the last one was applied. */
async function measureConflicts(
  stage: BenchStage,
  controller: BenchController,
  tell: (text: string) => void,
): Promise<Figures> {
  await runMany(CONFLICTS, 16, async (index) => {
    const metadata = { namespace: "watched", name: `taken-${index}` };
    await stage.transport.request("POST", secretsPath("watched"), {
      body: { apiVersion: "v1", kind: "Secret", metadata },
    });
    await apply(stage, "watched", metadata.name);
  });
  await eventually(
    async () => {
      const value = await readController(controller.metricsUrl);
      return value('apitoken_tokens{state="not_ready",reason="SecretConflict"}') === CONFLICTS;
    },
    { timeoutMs: 120_000, intervalMs: 250 },
  );
  tell(`${CONFLICTS} conflicts; waiting for ${SETTLING_MS / 1_000} s`);
  await delay(SETTLING_MS);
  const before = readProcess(controller.pid);
  await delay(WATCHED_SECONDS * 1_000);
  const cpuSeconds = readProcess(controller.pid).cpuSeconds - before.cpuSeconds;
  return { conflicts_idle_cpu_percent: (cpuSeconds / WATCHED_SECONDS) * 100 };
}

function untilIdle({ metricsUrl }: BenchController): Promise<boolean> {
  return eventually(
    async () => {
      const value = await readController(metricsUrl);
      const left = value("apitoken_queue_depth") + value("apitoken_queue_busy");
      return value("apitoken_reconcile_duration_seconds_count") >= value("apitoken_resources") && left === 0;
    },
    { timeoutMs: 120_000, intervalMs: 250 },
  );
}

function apply({ transport }: BenchStage, namespace: string, name: string, owner = name): Promise<unknown> {
  const body = anApiToken(namespace, name, 0);
  return transport.request("POST", apiTokensPath(namespace), {
    body: { ...body, metadata: { namespace, name }, spec: { ...body.spec, owner } },
  });
}

function untilReady({ transport }: BenchStage, namespace: string, name: string): Promise<boolean> {
  return eventually(
    async () => {
      const { status } = await transport.request<ApiToken>("GET", `${apiTokensPath(namespace)}/${name}`);
      return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    },
    { timeoutMs: 120_000, intervalMs: 20 },
  );
}

async function countRows({ databaseUrl }: BenchStage, crowd: number): Promise<number> {
  const [row] = await runAsSuperuser<{ count: string }>(
    databaseUrl,
    "select count(*) from apitoken.tokens where name like $1",
    [`crowd-${crowd}-%`],
  );
  return Number(row?.count);
}

async function isRevoked({ databaseUrl }: BenchStage, name: string): Promise<boolean> {
  const rows = await runAsSuperuser(
    databaseUrl,
    "select from apitoken.tokens where name = $1 and revoked_at is not null",
    [name],
  );
  return rows.length > 0;
}
