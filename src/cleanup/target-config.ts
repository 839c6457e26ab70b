/*
 * What the configuration file may contain. Names of tables and columns become part of SQL, so nothing but plain identifiers
 * and one kind of comparison is accepted.
 */
import { z } from "zod";
import { IdentifierError, parseColumnName, parseTableName, type TableName } from "../postgres/cleanup/identifiers.ts";
import type { CleanupAudit, Comparison } from "../postgres/cleanup/target.ts";
import { oneOf, retentionSetting } from "../runtime/config.ts";

/** A table to clean as the configuration describes it, not yet checked against the database. */
export interface TargetConfig {
  readonly table: TableName;
  readonly expiresAt: string;
  /** The column with the seconds after expiry during which a row is kept in any case. */
  readonly graceSeconds?: string;
  readonly revokedAt: string | undefined;
  readonly revoked: Comparison | undefined;
  /** The time zone of columns that have none. */
  readonly timezone: string | undefined;
  /** The unit of time columns that are numbers. */
  readonly epoch: "seconds" | "milliseconds" | undefined;
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  /** Undefined: the catalog's primary key, or a unique index. */
  readonly key: readonly string[] | undefined;
  readonly owner: string | undefined;
  readonly audit: CleanupAudit;
  readonly maxFraction: number | undefined;
}

/** A schema for texts that are read by a function that throws an IdentifierError. */
function readBy<T>(read: (text: string) => T) {
  return z.string("must be a text").transform((text, context) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof IdentifierError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
}

const column = readBy(parseColumnName);

const COMPARISON = /^(.+?)\s*=\s*(?:(true|false)|(-?\d+)|'((?:[^']|'')*)')$/i;

/** Reads `column = constant`, the only comparison that is allowed. The constant is true, false, a number or 'text'. */
export function parseComparison(text: string): Comparison {
  const match = COMPARISON.exec(text.trim());
  if (match === null) {
    throw new IdentifierError(
      `${JSON.stringify(text)} is not a comparison; write it as column = constant, such as is_active = false or status = 'revoked'`,
    );
  }
  const [, name = "", truth, number, quoted = ""] = match;
  if (number !== undefined && !Number.isSafeInteger(Number(number))) {
    throw new IdentifierError(`${number} is too large a number to be compared with exactly; it may have 15 digits`);
  }
  const equals =
    truth !== undefined
      ? truth.toLowerCase() === "true"
      : number !== undefined
        ? Number(number)
        : quoted.replaceAll("''", "'");
  return { column: parseColumnName(name), equals };
}

const targetSchema = z
  .strictObject({
    table: readBy(parseTableName),
    expiresAt: column,
    revokedAt: column.optional(),
    revoked: readBy(parseComparison).optional(),
    timezone: z.string().optional(),
    epoch: oneOf(["seconds", "milliseconds"]).optional(),
    retention: z
      .strictObject({ expired: retentionSetting.optional(), revoked: retentionSetting.optional() })
      .default({}),
    key: z.array(column).min(1, "must name at least one column").optional(),
    owner: column.optional(),
    audit: oneOf(["rows", "summary", "none"]).default("summary"),
    maxFraction: z.number("must be a number from 0 to 1").min(0).max(1).optional(),
  })
  .superRefine((target, context) => {
    const add = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (target.revoked !== undefined && target.revokedAt === undefined && (target.retention.revoked ?? 0) > 0) {
      add("retention", "revoked must be 0s, because nothing says when a row was revoked; name the column in revokedAt");
    }
    if (target.table.schema === "apitoken")
      add("table", "apitoken is this program's own schema; its table is always cleaned");
    if (target.table.schema === "pg_catalog" || target.table.schema === "information_schema") {
      add("table", "is Postgres' own");
    }
  });

const DAY_MS = 86_400_000;

/** The file's schema. Unknown keys are refused, because a misspelt `retention` must not mean the default. */
export const configFileSchema = z.strictObject({
  targets: z
    .array(targetSchema, "must be a list of tables")
    .default([])
    .transform((targets) =>
      targets.map(
        ({ retention, ...target }): TargetConfig => ({
          ...target,
          revokedAt: target.revokedAt,
          revoked: target.revoked,
          timezone: target.timezone,
          epoch: target.epoch,
          key: target.key,
          owner: target.owner,
          maxFraction: target.maxFraction,
          retention: {
            expiredMs: retention.expired ?? 7 * DAY_MS,
            revokedMs:
              retention.revoked ?? (target.revoked !== undefined && target.revokedAt === undefined ? 0 : 7 * DAY_MS),
          },
        }),
      ),
    ),
  /** Settings by the names of their environment variables, which take precedence. */
  settings: z.record(z.string(), z.union([z.string(), z.number().transform(String)])).default({}),
});

export type ConfigFile = z.infer<typeof configFileSchema>;
