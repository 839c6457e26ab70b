/*
 * The cleanup's settings as they are declared: names, bounds, defaults and the texts of `--help`. They are apart from
 * config.ts, so that the help loads nothing that only a run needs.
 */
import { z } from "zod";
import {
  databaseSettings,
  durationSetting,
  integerSetting,
  logLevelSetting,
  oneOf,
  retentionSetting,
} from "../runtime/config.ts";

const DAY_MS = 86_400_000;

/** Node's timers and Postgres' timeouts overflow at 2³¹ ms. */
const LONGEST_MS = 500 * 3_600_000;

/** A Go duration of at least `fromMs`, as milliseconds. */
export function limitedDuration(fromMs: number, message: string) {
  return durationSetting.refine((durationMs) => durationMs >= fromMs && durationMs <= LONGEST_MS, message);
}

/** A number from 0 to 1. */
export function fractionSetting(example: string) {
  return z
    .string()
    .regex(/^(0(\.\d+)?|1(\.0+)?)$/, `must be a number from 0 to 1, such as "${example}"`)
    .transform(Number);
}

const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** A number of bytes such as "64MiB". */
const bytesSetting = z.string().transform((text, context) => {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text);
  const bytes = Number(match?.[1] ?? Number.NaN) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (bytes >= 2 ** 10 && bytes <= 2 ** 40) return bytes;
  context.addIssue({ code: "custom", message: 'must be a number of bytes from "1KiB" to "1024GiB", such as "64MiB"' });
  return z.NEVER;
});

/** The settings: environment variables, most of which the configuration file may contain too. docs/settings.md says more. */
export const cleanupEnvironment = z.object({
  ...databaseSettings,
  APITOKEN_CLEANUP_CONFIG: z.string().optional().describe("the same as --config"),
  APITOKEN_CLEANUP_RETENTION_EXPIRED: retentionSetting
    .prefault("7d")
    .describe("how long expired tokens are kept: days (7d) or a duration (168h)"),
  APITOKEN_CLEANUP_RETENTION_REVOKED: retentionSetting.prefault("7d").describe("how long revoked tokens are kept"),
  APITOKEN_CLEANUP_AUDIT: oneOf(["rows", "summary", "none"])
    .default("rows")
    .describe("what the audit trail records of deleted tokens: rows, summary or none"),
  APITOKEN_CLEANUP_AUDIT_RETENTION: retentionSetting
    .refine((retentionMs) => retentionMs >= 31 * DAY_MS, "must be at least 31d: whole months are dropped")
    .prefault("400d")
    .describe("how long the audit trail is kept"),
  APITOKEN_CLEANUP_BATCH_TARGET: limitedDuration(1, "must be from 1ms to 500h; 100ms is right for most")
    .prefault("100ms")
    .describe("how long one transaction should take"),
  APITOKEN_CLEANUP_LOCK_TIMEOUT: limitedDuration(1, "must be from 1ms to 500h")
    .prefault("2s")
    .describe("how long to wait for a lock on a table"),
  APITOKEN_CLEANUP_STATEMENT_TIMEOUT: limitedDuration(1_000, "must be from 1s to 500h")
    .prefault("5m")
    .describe("how long a statement may take"),
  APITOKEN_CLEANUP_MAX_REPLICA_LAG: limitedDuration(1, "must be from 1ms to 500h")
    .prefault("10s")
    .describe("pause while a replica is further behind"),
  APITOKEN_CLEANUP_MAX_WAITERS: integerSetting(0, 10_000)
    .prefault("0")
    .describe("pause while more sessions wait for the run's locks"),
  APITOKEN_CLEANUP_MAX_WAL_RATE: bytesSetting
    .optional()
    .describe("pause while the server writes more WAL per second, such as 64MiB (default: no limit)"),
  APITOKEN_CLEANUP_BUSY_SHARE: fractionSetting("0.1")
    .refine((share) => share >= 0.01, 'must be from "0.01" to "1"; "1" makes no room for others')
    .prefault("0.05")
    .describe("the share of the time in which to work while others write"),
  APITOKEN_CLEANUP_PUSHGATEWAY_URL: z
    .url({ protocol: /^https?$/, error: 'must begin with "http://" or "https://"' })
    .optional()
    .describe("push the run's metrics to this Pushgateway"),
  APITOKEN_CLEANUP_TEXTFILE: z
    .string()
    .optional()
    .describe("write the run's metrics to this file, for node_exporter's textfile collector"),
  APITOKEN_LOG_LEVEL: logLevelSetting,
});

export type CleanupSettings = z.infer<typeof cleanupEnvironment>;
