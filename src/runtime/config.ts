/*
 * Settings: how they are read from the environment, the kinds that several programs use, and the wording of their faults. A
 * fault never repeats a value that may contain a password.
 */
import { z } from "zod";
import { formatDuration, parseDuration } from "../token/duration.ts";
import { isTokenPrefix, TOKEN_PREFIX_RULE } from "../token/token-string.ts";
import { findDatabaseUrlFault, pinSslMode } from "./database-url.ts";
import { Fault, type FaultCode } from "./fault.ts";
import { joinWords } from "./text.ts";

/** The configuration or the command line cannot be used. The problem has one line for each setting: its name, fault and remedy. */
export class ConfigError extends Fault {
  override readonly name = "ConfigError";

  constructor(problem: string, { faultCode = "APITOKEN_E_CONFIG_INVALID", ...options }: ConfigErrorOptions = {}) {
    super({ faultCode, problem }, options);
  }
}

interface ConfigErrorOptions extends ErrorOptions {
  readonly faultCode?: FaultCode;
}

/**
 * A program's settings, from the environment variables that the schema names. An empty variable counts as not set.
 * Throws a ConfigError with all faults.
 */
export function readEnvironment<Schema extends z.ZodObject>(
  schema: Schema,
  environment: NodeJS.ProcessEnv,
): z.infer<Schema> {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const result = schema.safeParse(present);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = issue.path.join(".");
    if (present[name] === undefined) return `${name} is not set: ${issue.message}`;
    if (isSecret(name)) return `${name} is invalid: it ${issue.message}`;
    return `${name} is ${JSON.stringify(present[name])}: ${issue.message}`;
  });
  throw new ConfigError(lines.join("\n"));
}

/** Whether the value may contain a password. URLs have a place for one. */
function isSecret(name: string): boolean {
  return /URL$|PASSWORD$/.test(name);
}

/** One of these words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, `must be ${joinWords(words, "or")}`);
}

/** A Go duration such as "15s", as milliseconds. */
export const durationSetting = z.string().transform((text, context) => {
  try {
    return parseDuration(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

/** A Go duration between two others, as milliseconds. */
export function durationBetween(minimumMs: number, maximumMs: number) {
  const message = `must be from ${formatDuration(minimumMs)} to ${formatDuration(maximumMs)}`;
  return durationSetting.refine((durationMs) => durationMs >= minimumMs && durationMs <= maximumMs, message);
}

const DAY_MS = 86_400_000;

/** A hundred years. Anything longer is a mistake, and could exceed the range of Postgres' timestamps. */
const LONGEST_RETENTION_DAYS = 36_500;

/** A retention such as "7d" or a Go duration such as "168h", as milliseconds. */
export const retentionSetting = z.string().transform((text, context) => {
  const days = /^(\d+)d$/.exec(text)?.[1];
  const retentionMs = days === undefined ? durationSetting.safeParse(text).data : Number(days) * DAY_MS;
  const message =
    retentionMs === undefined
      ? 'must be a number of days such as "7d", or a duration such as "168h"'
      : retentionMs > LONGEST_RETENTION_DAYS * DAY_MS
        ? `must be at most ${LONGEST_RETENTION_DAYS}d (a hundred years)`
        : undefined;
  if (retentionMs !== undefined && message === undefined) return retentionMs;
  context.addIssue({ code: "custom", message: message ?? "" });
  return z.NEVER;
});

/** A whole number from `minimum` to `maximum`. */
export function integerSetting(minimum: number, maximum: number) {
  const message = `must be a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, message);
}

/** A comma-separated list; spaces around items are dropped. */
export const listSetting = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

/** What new tokens begin with. */
export const tokenPrefixSetting = z.string().refine(isTokenPrefix, TOKEN_PREFIX_RULE);

const databaseUrlSetting = z
  .string({ error: "say where the database is, as postgres://user:password@host:5432/database" })
  .superRefine((text, context) => {
    const fault = findDatabaseUrlFault(text);
    if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
  })
  .transform(pinSslMode);

/** The settings of every program that connects to the database. Descriptions are what `--help` prints. */
export const databaseSettings = {
  DATABASE_URL: databaseUrlSetting.describe("postgres://user:password@host/database"),
  APITOKEN_DATABASE_PASSWORD_FILE: z
    .string()
    .optional()
    .describe("a file with the password, used instead of the URL's and read for each connection"),
};

/** What a program reads that needs the database and nothing else. */
export const databaseEnvironment = z.object(databaseSettings);

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const logLevelSetting = oneOf(LOG_LEVELS)
  .default("info")
  .describe("log messages of this level and above: debug, info, warn or error");

/** The database settings in the form that `openDatabase` takes. */
export function readLogin(settings: {
  readonly DATABASE_URL: string;
  readonly APITOKEN_DATABASE_PASSWORD_FILE?: string | undefined;
}): { readonly url: string; readonly passwordFile: string | undefined } {
  return { url: settings.DATABASE_URL, passwordFile: settings.APITOKEN_DATABASE_PASSWORD_FILE };
}
