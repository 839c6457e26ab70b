/*
 * What the cleanup works with: settings, options and targets in one object. Environment, configuration file and command
 * line are read here and nowhere else: the rest of the program sees named fields that say their unit.
 */
import type { CleanupAudit } from "../postgres/cleanup/target.ts";
import { ConfigError, databaseSettings, type LogLevel, readEnvironment, readLogin } from "../runtime/config.ts";
import { readConfigFile } from "./config-file.ts";
import { DEFAULT_MAX_FRACTION, type RunOptions } from "./options.ts";
import type { PressureLimits } from "./run/throttle.ts";
import { type CleanupSettings, cleanupEnvironment } from "./settings.ts";
import type { ConfigFile, TargetConfig } from "./target/config.ts";

/** Durations are milliseconds. */
export interface CleanupConfig {
  readonly databaseLogin: ReturnType<typeof readLogin>;
  readonly logLevel: LogLevel;
  /** How long the operator's own tokens are kept. */
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  /** What the audit trail records of the operator's own tokens. */
  readonly audit: CleanupAudit;
  readonly auditRetentionMs: number;
  /** How long one transaction should take. */
  readonly batchTargetMs: number;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly pressureLimits: PressureLimits;
  /** The share of the time in which a run works while others write: above 0, up to 1. */
  readonly busyShare: number;
  readonly pushgatewayUrl: string | undefined;
  readonly textfilePath: string | undefined;
  /** The tables that the configuration file names; the operator's own is not among them. */
  readonly targets: readonly TargetConfig[];
  readonly isDryRun: boolean;
  /** No larger part of a table of 20 rows or more is deleted. */
  readonly maxFraction: number;
  /** Ends the run after this long. */
  readonly maxDurationMs: number | undefined;
  /** The run deletes no more rows than this, of all tables together. */
  readonly maxRows: number | undefined;
}

/** All settings, from the command line, the environment and the configuration file. Throws a ConfigError. */
export function readCleanupConfig(options: Partial<RunOptions>, environment: NodeJS.ProcessEnv): CleanupConfig {
  const path = options.config ?? environment.APITOKEN_CLEANUP_CONFIG;
  const file = path ? readConfigFile(path) : { targets: [], settings: {} };
  const settings = readSettings(environment, file);
  return {
    databaseLogin: readLogin(settings),
    logLevel: settings.APITOKEN_LOG_LEVEL,
    retention: {
      expiredMs: settings.APITOKEN_CLEANUP_RETENTION_EXPIRED,
      revokedMs: settings.APITOKEN_CLEANUP_RETENTION_REVOKED,
    },
    audit: settings.APITOKEN_CLEANUP_AUDIT,
    auditRetentionMs: settings.APITOKEN_CLEANUP_AUDIT_RETENTION,
    batchTargetMs: settings.APITOKEN_CLEANUP_BATCH_TARGET,
    lockTimeoutMs: settings.APITOKEN_CLEANUP_LOCK_TIMEOUT,
    statementTimeoutMs: settings.APITOKEN_CLEANUP_STATEMENT_TIMEOUT,
    pressureLimits: {
      replicaLagMs: settings.APITOKEN_CLEANUP_MAX_REPLICA_LAG,
      waiters: settings.APITOKEN_CLEANUP_MAX_WAITERS,
      walBytesPerSecond: settings.APITOKEN_CLEANUP_MAX_WAL_RATE,
    },
    busyShare: settings.APITOKEN_CLEANUP_BUSY_SHARE,
    pushgatewayUrl: settings.APITOKEN_CLEANUP_PUSHGATEWAY_URL,
    textfilePath: settings.APITOKEN_CLEANUP_TEXTFILE,
    targets: file.targets,
    isDryRun: options["dry-run"] ?? false,
    maxFraction: options["max-fraction"] ?? Number(DEFAULT_MAX_FRACTION),
    maxDurationMs: options["max-duration"],
    maxRows: options["max-rows"],
  };
}

/** The settings of the environment; those that it does not set are read from the file. Throws a ConfigError. */
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
