/*
 * A restart must cost nothing: an operator that writes to every resource when it starts is a burden at each upgrade.
 */
import { setTimeout as delay } from "node:timers/promises";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { readWrites } from "../support/audit-log.ts";
import { eventually } from "../support/eventually.ts";
import { anApiToken } from "./create.ts";
import type { Figures } from "./figures.ts";
import { readController } from "./metrics.ts";
import { readProcess } from "./process.ts";
import { runMany, startBenchStage } from "./stage.ts";

const COUNT = 10_000;
const WATCHED_SECONDS = 60;

/** With 10,000 converged ApiTokens: what a new controller writes in its first minute (by the audit log), and its memory. */
export async function benchRestart(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    const first = await stage.startController();
    tell(`creating ${COUNT} ApiTokens`);
    const path = apiTokensPath("watched");
    await runMany(COUNT, 16, (index) =>
      stage.transport.request("POST", path, { body: anApiToken("watched", "t", index) }),
    );
    await untilConverged(first.metricsUrl);
    await first.stop();

    const startedAt = new Date();
    const second = await stage.startController();
    await untilConverged(second.metricsUrl);
    const convergedMs = Date.now() - startedAt.getTime();
    tell(`all seen to be converged after ${(convergedMs / 1_000).toFixed(1)} s; watching for ${WATCHED_SECONDS} s`);
    const figures = await watchMemory(second.pid);
    const writes = readWrites(stage.controlPlane.auditLogPath, "bench-controller", startedAt);
    await second.stop();
    return { restart_seconds: convergedMs / 1_000, restart_writes: writes.length, ...figures };
  } finally {
    await stage.stop();
  }
}

/** Waits until every ApiToken has had a pass and the queue is empty. */
async function untilConverged(metricsUrl: string): Promise<void> {
  await eventually(
    async () => {
      const value = await readController(metricsUrl);
      return (
        value("apitoken_resources") === COUNT &&
        value("apitoken_reconcile_duration_seconds_count") >= COUNT &&
        value("apitoken_queue_depth") + value("apitoken_queue_busy") === 0
      );
    },
    { timeoutMs: 600_000, intervalMs: 250 },
  );
}

/** The largest resident set seen within a minute, and the share of a core used. */
async function watchMemory(pid: number): Promise<Figures> {
  const before = readProcess(pid);
  let largestKib = 0;
  for (let second = 0; second < WATCHED_SECONDS; second += 1) {
    largestKib = Math.max(largestKib, readProcess(pid).rssKib);
    await delay(1_000);
  }
  const cpuSeconds = readProcess(pid).cpuSeconds - before.cpuSeconds;
  return {
    controller_rss_mib: Math.round(largestKib / 1_024),
    controller_idle_cpu_percent: (cpuSeconds / WATCHED_SECONDS) * 100,
  };
}
