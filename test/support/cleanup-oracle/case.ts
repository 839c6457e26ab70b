/*
 * A case of the property test: tables as an application could have them, and what the cleanup is to do with them. It is plain data,
 * from which the schema, the configuration and the oracle are made independently of one another.
 */

/** The types of columns with times. */
export type TimeType = "timestamptz" | "timestamp" | "date" | "integer" | "bigint" | "numeric" | "double precision";

export type Unit = "seconds" | "milliseconds" | "microseconds";

/** The columns with times that every table has. */
export type TimeName = "ends" | "ends_too" | "gone_at";

/** A time: a column, and what is added to it. `plus` is a duration of the configuration; `plusSeconds` takes the column `lasts`. */
export interface TimeSpec {
  readonly column: TimeName;
  readonly plus?: string;
  readonly plusSeconds?: boolean;
}

/** One comparison of a condition. The values are texts of the column's type; none for `is null` and `is not null`. */
export interface Test {
  readonly column: "kind" | "flag" | "level" | "state";
  readonly operator: "=" | "<>" | "in" | "is null" | "is not null";
  readonly values: readonly string[];
}

export interface Target {
  readonly name: string;
  readonly where: readonly Test[];
  readonly expiresAt: readonly TimeSpec[];
  readonly revokedAt: readonly TimeSpec[];
  readonly revoked: readonly Test[];
  /** Values that mean "no time": numbers as numbers. */
  readonly never: readonly (string | number)[];
  readonly retention: { readonly expired: string; readonly revoked: string };
  readonly audit: "rows" | "summary" | "none";
  readonly auditKeys: "hashed" | "plain";
}

export type Action = "cascade" | "no action" | "restrict" | "set null";

/** A foreign key, to another table or to the table itself. */
export interface Reference {
  readonly to: string;
  readonly action: Action;
  /** Whether its columns must not be null; with a list, the first of them. */
  readonly isRequired: boolean;
  /** The columns that ON DELETE SET NULL sets, if it has a list: some of the other table's key, which has several. */
  readonly list: readonly string[] | undefined;
  readonly isEnforced: boolean;
}

/** How the rows are stored. A partition is named by its place; `null` bounds are MINVALUE and MAXVALUE. */
export type Storage =
  | { readonly kind: "plain" }
  | { readonly kind: "inherited" }
  | {
      readonly kind: "partitioned";
      /** SQL of the bounds of partitions, in order, each ending where the next begins. */
      readonly bounds: readonly string[];
      readonly hasDefault: boolean;
      /** Whether the cleanup's role is a member of the owner, and so may drop partitions. */
      readonly isOwned: boolean;
    };

/** A row: SQL of the values of its columns. The column `n` tells the rows of a table apart. */
export interface Row {
  readonly n: number;
  readonly values: Readonly<Record<string, string>>;
  /** Whether it is stored in the table that inherits. */
  readonly isInChild: boolean;
}

export interface Table {
  readonly name: string;
  readonly key: "bigint" | "text" | "uuid" | "pair";
  readonly times: Readonly<Record<TimeName, TimeType>>;
  /** The type of the column `lasts`, a number of seconds. */
  readonly lasts: "integer" | "bigint" | "numeric" | "double precision";
  readonly unit: Unit;
  readonly zone: string;
  readonly storage: Storage;
  readonly parent: Reference | undefined;
  readonly self: Reference | undefined;
  readonly targets: readonly Target[];
  readonly rows: readonly Row[];
}

/** One case. `number` names its schemas: c1 for the cleanup, o1 for the oracle. */
export interface Case {
  readonly number: number;
  /** Whether the targets of the tables that refer to others come first. */
  readonly isReversed: boolean;
  readonly tables: readonly Table[];
}

/** All targets in the order in which they are cleaned. */
export function listTargets({ tables, isReversed }: Case): { readonly table: Table; readonly target: Target }[] {
  const targets = tables.flatMap((table) => table.targets.map((target) => ({ table, target })));
  return isReversed ? targets.reverse() : targets;
}

/** The columns of a table's primary key. */
export function keyColumns({ key }: Pick<Table, "key">): string[] {
  return key === "pair" ? ["realm", "id"] : ["id"];
}

/** Milliseconds of the durations that cases use. */
export const DURATIONS: Readonly<Record<string, number>> = {
  "0s": 0,
  "1500ms": 1_500,
  "90m": 5_400_000,
  "36h": 129_600_000,
  "7d": 604_800_000,
  "30d": 2_592_000_000,
};

/** The other tables of the case that ON DELETE CASCADE reaches from one. */
export function findReached(tables: readonly Table[], from: string): string[] {
  const next = tables.filter(({ parent }) => parent?.to === from && parent.action === "cascade" && parent.isEnforced);
  return next.flatMap(({ name }) => [name, ...findReached(tables, name)]);
}
