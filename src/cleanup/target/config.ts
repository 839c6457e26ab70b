/*
 * What the configuration file may contain. Names of tables and columns become part of SQL, so nothing but plain identifiers
 * and conditions of one kind is accepted.
 */
import { z } from "zod";
import type { Condition, Constant } from "../../postgres/cleanup/condition.ts";
import { areDisjoint } from "../../postgres/cleanup/condition.ts";
import {
  formatTableName,
  IdentifierError,
  parseColumnName,
  parseTableName,
  type TableName,
} from "../../postgres/cleanup/identifiers.ts";
import type { CleanupAudit } from "../../postgres/cleanup/target.ts";
import { oneOf, retentionSetting } from "../../runtime/config.ts";
import { parseCondition } from "./condition.ts";
import { expandPreset, isPreset } from "./presets.ts";

/** A column with a time and what is added to it, as the configuration names them. */
export interface TimeConfig {
  readonly column: string;
  readonly plusMs: number;
  /** The column with the number of seconds that are added. */
  readonly plusSeconds: string | undefined;
}

/** A table to clean as the configuration describes it, not yet checked against the database. */
export interface TargetConfig {
  readonly table: TableName;
  /** For people and for metrics' labels. */
  readonly name: string;
  /** Only rows that meet this are the target's. */
  readonly where: Condition;
  /** The first column that is not null counts. Undefined: rows of this target do not expire. */
  readonly expiresAt: readonly TimeConfig[] | undefined;
  /** The column with the seconds after expiry during which a row is kept in any case. */
  readonly graceSeconds?: string;
  readonly revokedAt: readonly TimeConfig[] | undefined;
  readonly revoked: Condition | undefined;
  /** Values of time columns that mean "no time", in addition to those that always do. */
  readonly never: readonly Constant[];
  /** The time zone of columns that have none. */
  readonly timezone: string | undefined;
  /** The unit of time columns that are numbers. */
  readonly epoch: "seconds" | "milliseconds" | "microseconds" | undefined;
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  /** Undefined: the catalog's primary key, or a unique index. */
  readonly key: readonly string[] | undefined;
  readonly owner: string | undefined;
  readonly audit: CleanupAudit;
  readonly auditKeys: "hashed" | "plain";
  /** The tables whose rows ON DELETE CASCADE may take. */
  readonly cascade: readonly TableName[];
  readonly maxFraction: number | undefined;
  /** The share of the rows that the first run of a definition may delete. */
  readonly firstRunMaxFraction: number;
  /** Definitions of targets that somebody has looked at and found right although they are odd. */
  readonly confirm: readonly string[];
}

const text = z.string({ error: ({ input }) => (input === undefined ? "is missing" : "must be a text") });

/** A schema for texts that are read by a function that throws an IdentifierError. */
function readBy<T>(read: (text: string) => T) {
  return text.transform((value, context) => {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof IdentifierError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
}

const column = readBy(parseColumnName);

const table = readBy(parseTableName);

const timeSchema = z.union(
  [
    column.transform((name): TimeConfig => ({ column: name, plusMs: 0, plusSeconds: undefined })),
    z
      .strictObject({ column, plus: retentionSetting.optional(), plusSeconds: column.optional() })
      .transform(
        ({ column: name, plus = 0, plusSeconds }): TimeConfig => ({ column: name, plusMs: plus, plusSeconds }),
      ),
  ],
  { error: ({ input }) => describeTimeFault(input) },
);

/** A union says only that nothing fits; which form was meant shows what is wrong. */
function describeTimeFault(input: unknown): string {
  const forms =
    "write a column, {column: created_at, plus: 30d}, {column: created_at, plusSeconds: expires_in}, or a list of these";
  if (typeof input === "string") {
    try {
      parseColumnName(input);
    } catch (error) {
      return (error as Error).message;
    }
  }
  return `is not a time; ${forms}`;
}

const times = z.union([timeSchema.transform((time) => [time]), z.array(timeSchema).min(1)], {
  error: ({ input }) => describeTimeFault(Array.isArray(input) ? undefined : input),
});

const never = z
  .union([z.string(), z.number()], { error: 'must be a number or a text, such as 253402300799 or "9999-12-31"' })
  .refine(
    (value) => typeof value === "string" || Math.abs(value) <= Number.MAX_SAFE_INTEGER,
    "has a number of which digits would be lost; write it in quotes",
  )
  .transform((value): Constant => ({ type: typeof value === "number" ? "number" : "text", text: String(value) }));

const fraction = z.number("must be a number from 0 to 1").min(0, "must be from 0 to 1").max(1, "must be from 0 to 1");

const DAY_MS = 86_400_000;

/** The share of the rows that the first run of a definition may delete, unless the target says another. */
export const DEFAULT_FIRST_RUN_MAX_FRACTION = 0.5;

/** One target of the file, with the defaults of what it leaves out. */
export const targetSchema = z
  .strictObject({
    table,
    name: text.max(120, "has at most 120 characters").min(1, "must not be empty").optional(),
    where: readBy(parseCondition).optional(),
    expiresAt: times.optional(),
    revokedAt: times.optional(),
    revoked: readBy(parseCondition).optional(),
    never: z.array(never, "must be a list of values").max(100, "has at most 100 values").default([]),
    timezone: text.optional(),
    epoch: oneOf(["seconds", "milliseconds", "microseconds"]).optional(),
    retention: z
      .strictObject({ expired: retentionSetting.optional(), revoked: retentionSetting.optional() })
      .default({}),
    key: z.array(column, "must be a list of columns").min(1, "must name at least one column").optional(),
    owner: column.optional(),
    audit: oneOf(["rows", "summary", "none"]).default("summary"),
    auditKeys: oneOf(["hashed", "plain"]).default("hashed"),
    cascade: z.array(table, "must be a list of tables").default([]),
    maxFraction: fraction.optional(),
    firstRunMaxFraction: fraction.default(DEFAULT_FIRST_RUN_MAX_FRACTION),
    confirm: z.union([text.transform((hash) => [hash]), z.array(text)]).default([]),
  })
  .superRefine((target, context) => {
    const add = (field: string, message: string) => context.addIssue({ code: "custom", path: [field], message });
    if (target.expiresAt === undefined && target.revokedAt === undefined && target.revoked === undefined) {
      add("expiresAt", "is missing; without it, name a time in revokedAt or a condition in revoked");
    }
    if (target.revoked !== undefined && target.revokedAt === undefined && (target.retention.revoked ?? 0) > 0) {
      add("retention", "revoked must be 0s, because nothing says when a row was revoked; name the column in revokedAt");
    }
    if (target.table.schema === "apitoken")
      add("table", "apitoken is this program's own schema; its table is always cleaned");
    if (target.table.schema === "pg_catalog" || target.table.schema === "information_schema") {
      add("table", "is Postgres' own");
    }
  })
  .transform(
    ({ retention, ...target }): TargetConfig => ({
      ...target,
      name: target.name ?? formatTableName(target.table),
      where: target.where ?? [],
      expiresAt: target.expiresAt,
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
  );

/** The file's schema. Unknown keys are refused, because a misspelt `retention` must not mean the default. */
export const configFileSchema = z.strictObject({
  targets: z.array(z.unknown(), "must be a list of tables").default([]).transform(readTargets),
  /** Settings by the names of their environment variables, which take precedence. */
  settings: z.record(z.string(), z.union([z.string(), z.number().transform(String)])).default({}),
});

export type ConfigFile = z.infer<typeof configFileSchema>;

/** A target, and its place in the file's list: a preset is one item of the list and several targets. */
interface ReadTarget {
  readonly place: number;
  readonly target: TargetConfig;
}

function readTargets(items: readonly unknown[], context: z.RefinementCtx): TargetConfig[] {
  const faults = new Set<string>();
  const fail = (path: PropertyKey[], message: string) => {
    // Each target that a preset expands to has the same fault in what the team has written beside it.
    const fault = JSON.stringify([path, message]);
    if (!faults.has(fault)) context.addIssue({ code: "custom", path, message });
    faults.add(fault);
  };
  const read: ReadTarget[] = [];
  for (const [place, item] of items.entries()) {
    const expanded = isPreset(item) ? expandPreset(item) : { targets: [item], faults: [] };
    for (const { path, message } of expanded.faults) fail([place, ...path], message);
    for (const target of expanded.targets) {
      const result = targetSchema.safeParse(target);
      if (result.success) read.push({ place, target: result.data });
      for (const { path, message } of result.error?.issues ?? []) fail([place, ...path], message);
    }
  }
  if (faults.size === 0) refuseOverlaps(read, fail);
  return read.map(({ target }) => target);
}

/** A row that two targets claim would be deleted by the shorter retention, which nobody has meant. */
function refuseOverlaps(targets: readonly ReadTarget[], fail: (path: PropertyKey[], message: string) => void): void {
  for (const [index, { place, target }] of targets.entries()) {
    for (const { target: earlier } of targets.slice(0, index)) {
      const isSameTable = formatTableName(earlier.table) === formatTableName(target.table);
      if (isSameTable && !areDisjoint(earlier.where, target.where)) {
        fail(
          [place, "where"],
          `${formatTableName(target.table)} is listed twice, and a row could belong to both; keep one target, or let where ` +
            "demand different values of one column",
        );
      } else if (earlier.name === target.name) {
        fail(
          [place, "name"],
          `${JSON.stringify(target.name)} is the name of another target; give each a name of its own`,
        );
      }
    }
  }
}
