import { z } from "zod";
import { databaseUrlSetting, durationSetting, retentionSetting } from "../runtime/config.ts";
import { LOG_LEVELS } from "../runtime/log.ts";

/** The cleanup's settings: environment variables. The README's table says what each means. */
export const cleanupEnvironment = z.object({
  DATABASE_URL: databaseUrlSetting,
  APITOKEN_LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  APITOKEN_CLEANUP_RETENTION_EXPIRED: retentionSetting.prefault("7d"),
  APITOKEN_CLEANUP_RETENTION_REVOKED: retentionSetting.prefault("7d"),
  APITOKEN_CLEANUP_AUDIT: z.enum(["rows", "summary", "none"]).default("rows"),
  APITOKEN_CLEANUP_AUDIT_RETENTION: retentionSetting
    .refine((retentionMs) => retentionMs >= 31 * 86_400_000, "must be at least 31d: whole months are dropped")
    .prefault("400d"),
  APITOKEN_CLEANUP_BATCH_TARGET: durationSetting
    .refine((targetMs) => targetMs >= 1, "must be at least 1ms")
    .prefault("100ms"),
  APITOKEN_CLEANUP_LOCK_TIMEOUT: durationSetting.prefault("2s"),
  APITOKEN_CLEANUP_STATEMENT_TIMEOUT: durationSetting.prefault("5m"),
});

/** The settings that stand on the command line. */
export const cleanupOptions = z.object({
  isDryRun: z.boolean(),
  output: z.enum(["text", "json"], 'must be "text" or "json"'),
  /** Of a table of more than a thousand rows no larger part than this is deleted. */
  maxFraction: z.number('must be a number from 0 to 1, such as "0.9"').min(0).max(1),
  /** Ends the run after so long; 0 never. */
  maxDurationMs: z.number(),
});

export type CleanupConfig = z.infer<typeof cleanupEnvironment> & z.infer<typeof cleanupOptions>;
export type AuditMode = CleanupConfig["APITOKEN_CLEANUP_AUDIT"];
