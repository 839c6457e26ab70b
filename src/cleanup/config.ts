import { z } from "zod";
import { ConfigError, databaseUrlSetting, durationSetting, retentionSetting } from "../runtime/config.ts";
import { LOG_LEVELS } from "../runtime/log.ts";

const DAY_MS = 86_400_000;

/** Timers of Node go wrong from 2³¹ ms on, and Postgres' own timeouts as well. */
const LONGEST_MS = 500 * 3_600_000;

function limitedDuration(fromMs: number, message: string) {
  return durationSetting.refine((durationMs) => durationMs >= fromMs && durationMs <= LONGEST_MS, message);
}

/** The cleanup's settings: environment variables. The README's table says what each means. */
export const cleanupEnvironment = z.object({
  DATABASE_URL: databaseUrlSetting,
  APITOKEN_LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  APITOKEN_CLEANUP_RETENTION_EXPIRED: retentionSetting.prefault("7d"),
  APITOKEN_CLEANUP_RETENTION_REVOKED: retentionSetting.prefault("7d"),
  APITOKEN_CLEANUP_AUDIT: z.enum(["rows", "summary", "none"], 'must be "rows", "summary" or "none"').default("rows"),
  APITOKEN_CLEANUP_AUDIT_RETENTION: retentionSetting
    .refine((retentionMs) => retentionMs >= 31 * DAY_MS, "must be at least 31d: whole months are dropped")
    .prefault("400d"),
  APITOKEN_CLEANUP_BATCH_TARGET: limitedDuration(1, "must be from 1ms to 500h; 100ms is right for most").prefault(
    "100ms",
  ),
  APITOKEN_CLEANUP_LOCK_TIMEOUT: limitedDuration(1, "must be from 1ms to 500h").prefault("2s"),
  APITOKEN_CLEANUP_STATEMENT_TIMEOUT: limitedDuration(1_000, "must be from 1s to 500h").prefault("5m"),
});

/** The settings that stand on the command line. */
const cleanupOptions = z.object({
  "dry-run": z.boolean().default(false),
  output: z.enum(["text", "json"], 'must be "text" or "json"').default("text"),
  /** Of a table of more than a thousand rows no larger part than this is deleted. */
  "max-fraction": z
    .string()
    .refine((text) => /^(0(\.\d+)?|1(\.0+)?)$/.test(text), 'must be a number from 0 to 1, such as "0.9"')
    .transform(Number)
    .prefault("0.9"),
  /** Ends the run after so long. */
  "max-duration": limitedDuration(1, "must be from 1ms to 500h, such as 30m").optional(),
});

export type CleanupConfig = z.infer<typeof cleanupEnvironment> & {
  readonly isDryRun: boolean;
  readonly output: "text" | "json";
  readonly maxFraction: number;
  readonly maxDurationMs: number | undefined;
};

/** What stands on the command line, as settings. Throws a ConfigError that names each option, its fault and the remedy. */
export function readCommandLine(options: Readonly<Record<string, string | boolean | undefined>>) {
  const result = cleanupOptions.safeParse(options);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      return `--${name} is ${JSON.stringify(options[name])}: ${issue.message}`;
    });
    throw new ConfigError(lines.join("\n"));
  }
  const { "dry-run": isDryRun, output, "max-fraction": maxFraction, "max-duration": maxDurationMs } = result.data;
  return { isDryRun, output, maxFraction, maxDurationMs };
}
