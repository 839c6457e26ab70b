import { z } from "zod";
import {
  ConfigError,
  databaseSettings,
  durationSetting,
  integerSetting,
  logLevelSetting,
  readEnvironment,
  retentionSetting,
} from "../runtime/config.ts";
import type { ConfigFile } from "./target-config.ts";

const DAY_MS = 86_400_000;

/** Timers of Node go wrong from 2³¹ ms on, and Postgres' own timeouts as well. */
const LONGEST_MS = 500 * 3_600_000;

function limitedDuration(fromMs: number, message: string) {
  return durationSetting.refine((durationMs) => durationMs >= fromMs && durationMs <= LONGEST_MS, message);
}

const fraction = z
  .string()
  .refine((text) => /^(0(\.\d+)?|1(\.0+)?)$/.test(text), 'must be a number from 0 to 1, such as "0.9"')
  .transform(Number);

const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** A number of bytes such as "64MiB". */
const bytesSetting = z.string().transform((text, context) => {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text);
  const bytes = Number(match?.[1] ?? Number.NaN) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (bytes >= 2 ** 10 && bytes <= 2 ** 40) return bytes;
  context.addIssue({ code: "custom", message: 'must be a number of bytes from "1KiB" to "1024GiB", such as "64MiB"' });
  return z.NEVER;
});

/** The cleanup's settings: environment variables. docs/settings.md says what each means. */
export const cleanupEnvironment = z.object({
  ...databaseSettings,
  APITOKEN_LOG_LEVEL: logLevelSetting,
  APITOKEN_CLEANUP_CONFIG: z.string().optional(),
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
  APITOKEN_CLEANUP_MAX_REPLICA_LAG: limitedDuration(1, "must be from 1ms to 500h").prefault("10s"),
  APITOKEN_CLEANUP_MAX_WAITERS: integerSetting(0, 10_000).prefault("0"),
  APITOKEN_CLEANUP_MAX_WAL_RATE: bytesSetting.optional(),
  APITOKEN_CLEANUP_BUSY_SHARE: fraction
    .refine((share) => share >= 0.01, 'must be from "0.01" to "1"; "1" makes no room for others')
    .prefault("0.1"),
  APITOKEN_CLEANUP_PUSHGATEWAY_URL: z
    .url({ protocol: /^https?$/, error: 'must begin with "http://" or "https://"' })
    .optional(),
  APITOKEN_CLEANUP_TEXTFILE: z.string().optional(),
});

/** The settings that stand on the command line. */
const cleanupOptions = z.object({
  "dry-run": z.boolean().default(false),
  output: z.enum(["text", "json"], 'must be "text" or "json"').default("text"),
  "max-fraction": fraction.prefault("0.9"),
  "max-duration": limitedDuration(1, "must be from 1ms to 500h, such as 30m").optional(),
  "max-rows": integerSetting(1, Number.MAX_SAFE_INTEGER).optional(),
});

export type CleanupSettings = z.infer<typeof cleanupEnvironment>;

export interface CleanupOptions {
  readonly isDryRun: boolean;
  readonly output: "text" | "json";
  /** Of a table of more than a thousand rows no larger part than this is deleted. */
  readonly maxFraction: number;
  /** Ends the run after so long. */
  readonly maxDurationMs: number | undefined;
  /** The run deletes no more rows than this, of all tables together. */
  readonly maxRows: number | undefined;
}

export type CleanupConfig = CleanupSettings & CleanupOptions & { readonly targets: ConfigFile["targets"] };

/** The settings, of the environment and, where that is silent, of the file. Throws a ConfigError. */
export function readSettings(environment: NodeJS.ProcessEnv, file: ConfigFile): CleanupSettings {
  for (const name of Object.keys(file.settings)) {
    if (Object.hasOwn(databaseSettings, name) || !Object.hasOwn(cleanupEnvironment.shape, name)) {
      throw new ConfigError(`settings.${name} is not a setting that the configuration file may contain`, {
        faultCode: "APITOKEN_E_CONFIG_FILE_INVALID",
      });
    }
  }
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  return readEnvironment(cleanupEnvironment, { ...file.settings, ...given });
}

/** What stands on the command line, as settings. Throws a ConfigError that names each option, its fault and the remedy. */
export function readCommandLine(options: Readonly<Record<string, string | boolean | undefined>>): CleanupOptions {
  const result = cleanupOptions.safeParse(options);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      return `--${name} is ${JSON.stringify(options[name])}: ${issue.message}`;
    });
    throw new ConfigError(lines.join("\n"));
  }
  const {
    "dry-run": isDryRun,
    output,
    "max-fraction": maxFraction,
    "max-duration": maxDurationMs,
    "max-rows": maxRows,
  } = result.data;
  return { isDryRun, output, maxFraction, maxDurationMs, maxRows };
}
