/*
 * Hands a finished run's metrics over to Prometheus.
 */
import { createHash } from "node:crypto";
import { chmodSync, renameSync, writeFileSync } from "node:fs";
import type { Logger } from "../../runtime/log.ts";
import type { CleanupConfig } from "../config.ts";
import { createRunMetrics } from "./metrics.ts";
import { deleteStaleGroups, pushMetrics } from "./pushgateway.ts";
import type { RunReport } from "./report.ts";

/** Publishes a run's metrics wherever the settings say. Failures are only logged, because the run itself is over. */
export async function publishReport(report: RunReport, config: CleanupConfig, log: Logger): Promise<void> {
  const { pushgatewayUrl: gatewayUrl, textfilePath: path } = config;
  if (gatewayUrl === undefined && path === undefined) return;
  const now = new Date();
  const text = await createRunMetrics(report, now, report.outcome === "succeeded" ? now : undefined).metrics();
  if (path !== undefined) {
    try {
      writeTextfile(path, text);
    } catch (error) {
      log.warn({ err: error }, "cannot write the textfile");
    }
  }
  if (gatewayUrl !== undefined) {
    try {
      await pushMetrics(gatewayUrl, nameInstance(config.databaseLogin.url), text);
      const stale = await deleteStaleGroups(gatewayUrl, now);
      if (stale.length > 0) log.info({ instances: stale }, "deleted stale groups from the Pushgateway");
    } catch (error) {
      log.warn({ err: error }, "cannot push the metrics");
    }
  }
}

/** Replaces the file atomically, because the collector may read it at any time. */
export function writeTextfile(path: string, text: string): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, text);
  chmodSync(draft, 0o644); // whatever the umask: another user's collector reads it
  renameSync(draft, path);
}

/** Host and database, without login and password. A group's name must not contain a slash. */
export function nameInstance(databaseUrl: string): string {
  try {
    const { host, pathname } = new URL(databaseUrl);
    return `${host || "localhost"}:${decodeURIComponent(pathname.slice(1)) || "default"}`.replaceAll("/", "_");
  } catch {
    return createHash("sha256").update(databaseUrl).digest("hex").slice(0, 12);
  }
}
