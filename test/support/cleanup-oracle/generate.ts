/*
 * Makes cases from a seed. Every choice is made here, so a seed stands for one case.
 */
import { createRandom, type Random } from "../random-walk/random.ts";
import {
  type Case,
  DURATIONS,
  keyColumns,
  type Reference,
  type Row,
  type Storage,
  type Table,
  type Target,
  type Test,
  type TimeName,
  type TimeSpec,
  type TimeType,
} from "./case.ts";
import { formatTime, isNumber, type Moment, pickLasts, pickTime } from "./values.ts";

const TIME_NAMES = ["ends", "ends_too", "gone_at"] as const;
const TYPES: readonly TimeType[] = ["timestamptz", "timestamp", "date", "bigint", "numeric", "double precision"];

/** Without summer time: where an hour is repeated, a wall clock's time is not one moment. */
const ZONES = ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Marquesas"];

/** The case that a seed stands for on a version of Postgres. */
export function generateCase(seed: number, number: number, now: Moment, version: number): Case {
  const random = createRandom(seed);
  const tables: Table[] = [];
  const count = 1 + random.below(4);
  for (let place = 0; place < count; place += 1) tables.push(generateTable(random, `t${place}`, tables, now, version));
  return { number, tables, isReversed: random.chance(50) };
}

function generateTable(random: Random, name: string, earlier: readonly Table[], now: Moment, version: number): Table {
  const unit = random.pick(["seconds", "milliseconds", "microseconds"] as const);
  const types: readonly TimeType[] = unit === "seconds" ? [...TYPES, "integer"] : TYPES;
  const isUniform = random.chance(40);
  const one = random.pick(types);
  const [ends, ends_too, gone_at] = TIME_NAMES.map(() => (isUniform ? one : random.pick(types))) as [
    TimeType,
    TimeType,
    TimeType,
  ];
  const zone = random.pick(ZONES);
  const base = {
    name,
    unit,
    zone,
    key: random.pick(["bigint", "text", "uuid", "pair"] as const),
    times: { ends, ends_too, gone_at },
    lasts: random.pick(["integer", "bigint", "numeric", "double precision"] as const),
  };
  const storage = generateStorage(random, base, now);
  const any = generateTargets(random, base);
  // Only if the expiry alone decides, whole partitions go.
  const targets = storage.kind === "partitioned" && random.chance(70) ? any.slice(0, 1).map(simplify) : any;
  const parents = earlier.filter(({ storage: { kind } }) => kind !== "partitioned");
  const parent = parents.length > 0 && random.chance(80) ? referTo(random, random.pick(parents), version) : undefined;
  const self =
    storage.kind === "plain" && random.chance(35) ? referToSelf(random, base, targets.length, version) : undefined;
  const table: Table = { ...base, targets, storage, parent, self, rows: [] };
  const to = earlier.find((other) => other.name === parent?.to);
  return { ...table, rows: generateRows(random, table, to, now) };
}

function simplify(target: Target): Target {
  return { ...target, where: [], expiresAt: [{ column: "ends" }], revokedAt: [], revoked: [], never: [] };
}

type Named = Pick<Table, "name" | "key">;

function referTo(random: Random, to: Named, version: number): Reference {
  const columns = keyColumns(to);
  const mayList = columns.length > 1 && version >= 15;
  const more = mayList ? (["set null", "set null"] as const) : [];
  const action = random.pick(["cascade", "cascade", "no action", "restrict", "set null", ...more] as const);
  const hasList = mayList && action === "set null" && random.chance(75);
  return {
    to: to.name,
    action,
    isRequired: random.chance(hasList ? 75 : 40),
    list: hasList ? random.pick([["id"], ["id"], ["realm"], columns]) : undefined,
    isEnforced: version < 18 || random.chance(85),
  };
}

/** The oracle deletes one row at a time, and so cannot know that rows of two targets keep only one another. */
function referToSelf(random: Random, to: Pick<Table, "name" | "key">, targets: number, version: number): Reference {
  const reference = { ...referTo(random, to, version), isRequired: false };
  const isBlocking = reference.action === "restrict" || reference.action === "no action";
  return targets > 1 && isBlocking ? { ...reference, action: "set null" } : reference;
}

function generateStorage(random: Random, table: Pick<Table, "times" | "unit" | "zone">, now: Moment): Storage {
  const kind = random.pick(["plain", "plain", "plain", "inherited", "partitioned"] as const);
  if (kind !== "partitioned") return { kind };
  const days = [-40, -31, -30, -10, -8, -7, -2, -1, 0, 1, 5].filter(() => random.chance(55));
  const type = table.times.ends;
  const inner = days.map((day) => `(${formatTime(type, now.micros + BigInt(day) * 86_400_000_000n, table)})`);
  const first = random.pick([
    "minvalue",
    isNumber(type) ? "(0)" : "('0001-01-01')",
    isNumber(type) ? "(-5)" : "('2020-01-01')",
  ]);
  const bounds = [first, ...inner, ...(random.chance(60) ? ["maxvalue"] : [])];
  return { kind, bounds, hasDefault: random.chance(40), isOwned: random.chance(75) };
}

const VALUES = {
  kind: ["a", "b", "it''s"],
  flag: ["true", "false"],
  level: ["0", "1", "2"],
  state: ["active", "used", "revoked"],
} as const;

function generateTest(random: Random, column: Test["column"]): Test {
  const operator = random.pick(["=", "<>", "in", "is null", "is not null"] as const);
  const all = VALUES[column];
  if (operator === "is null" || operator === "is not null") return { column, operator, values: [] };
  return { column, operator, values: operator === "in" ? [all[0], all[1]] : [random.pick(all)] };
}

const generateTests = (random: Random, columns: readonly Test["column"][]) =>
  columns.filter(() => random.chance(50)).map((column) => generateTest(random, column));

/** None, one for all rows or for some, or two that share the table. */
function generateTargets(random: Random, table: Pick<Table, "name" | "times">): Target[] {
  if (random.chance(20)) return [];
  if (random.chance(30)) {
    const value = random.pick(VALUES.kind);
    const [one, other] = random.pick([
      [
        { operator: "=", values: [value] },
        { operator: "<>", values: [value] },
      ],
      [
        { operator: "=", values: [value] },
        { operator: "is null", values: [] },
      ],
      [
        { operator: "in", values: ["a", "b"] },
        { operator: "=", values: ["it''s"] },
      ],
    ] as const);
    return [one, other].map((test, place) =>
      generateTarget(random, table, `${table.name} ${place}`, [{ column: "kind", ...test }]),
    );
  }
  const where = random.chance(40) ? generateTests(random, ["kind", "flag", "level", "state"]) : [];
  return [generateTarget(random, table, table.name, where)];
}

function generateSpec(random: Random, column: TimeName): TimeSpec {
  if (random.chance(50)) return { column };
  if (random.chance(50)) return { column, plusSeconds: true };
  return { column, plus: random.pick(Object.keys(DURATIONS)) };
}

function generateTarget(random: Random, { times }: Pick<Table, "times">, name: string, where: readonly Test[]): Target {
  const hasExpiry = random.chance(85);
  const expiresAt = hasExpiry
    ? (["ends", "ends_too"] as const).slice(0, random.chance(30) ? 2 : 1).map((column) => generateSpec(random, column))
    : [];
  const revokedAt = random.chance(50)
    ? [random.chance(70) ? { column: "gone_at" as const } : generateSpec(random, "gone_at")]
    : [];
  const hasRevoked = random.chance(30) || (expiresAt.length === 0 && revokedAt.length === 0);
  const revoked = hasRevoked ? [generateTest(random, random.pick(["flag", "state"] as const))] : [];
  const types = new Set([...expiresAt, ...revokedAt].map(({ column }) => times[column]));
  const retentions = Object.keys(DURATIONS);
  return {
    name,
    where,
    expiresAt,
    revokedAt,
    revoked,
    never: random.chance(40) ? pickNever(types) : [],
    retention: {
      expired: random.pick(retentions),
      revoked: hasRevoked && revokedAt.length === 0 ? "0s" : random.pick(retentions),
    },
    audit: random.pick(["rows", "rows", "summary", "none"] as const),
    auditKeys: random.chance(85) ? "hashed" : "plain",
  };
}

/** A value in the past, which would be due, and one in the future; all of the target's columns have to take them. */
function pickNever(types: ReadonlySet<TimeType>): (string | number)[] {
  if (types.size === 0) return [];
  if ([...types].every(isNumber)) return types.has("integer") ? [86_400, 2_147_483_647] : [86_400, 253_402_300_799];
  return [...types].some(isNumber) ? [] : ["1999-12-31", "9999-12-31"];
}

/** Nulls are values, too. */
function pickValue(random: Random, column: Test["column"]): string {
  return random.chance(20) ? "null" : `'${random.pick(VALUES[column])}'`;
}

function generateRows(random: Random, table: Table, parent: Table | undefined, now: Moment): Row[] {
  const rows: Row[] = [];
  const count = 20 + random.below(70);
  const referable = parent?.rows.filter(({ isInChild }) => !isInChild) ?? [];
  for (let n = 1; n <= count; n += 1) {
    const lasts = pickLasts(random, table.lasts);
    const time = (column: TimeName) => pickTime(random, table, column, { lasts: lasts.seconds, now });
    const values: Record<string, string> = {
      ...makeKey(table, n),
      ...Object.fromEntries(TIME_NAMES.map((column) => [column, time(column)])),
      ...Object.fromEntries(
        (["kind", "flag", "level", "state"] as const).map((column) => [column, pickValue(random, column)]),
      ),
      lasts: lasts.sql,
      ...(parent && table.parent ? pickReference(random, "up", parent, referable, table.parent) : {}),
      ...(table.self ? pickReference(random, "own", table, rows, table.self, n) : {}),
    };
    rows.push({ n, values, isInChild: table.storage.kind === "inherited" && random.chance(40) });
  }
  return rows;
}

function makeKey({ name, key, targets }: Table, n: number): Record<string, string> {
  const prefix = targets.some(({ auditKeys }) => auditKeys === "plain") ? "plain" : "secret";
  const text = `'${prefix}-${name}-${n}'`;
  if (key === "bigint") return { id: String(n * 1_000) };
  if (key === "text") return { id: text };
  if (key === "uuid") return { id: `'00000000-0000-4000-8000-${String(n).padStart(12, "0")}'` };
  return { realm: text, id: String(n % 3) };
}

/** Refers to one of the rows, to the row itself, or to none. Few rows are referred to, so that many are free. */
function pickReference(
  random: Random,
  prefix: "up" | "own",
  to: Table,
  rows: readonly Row[],
  { isRequired }: Reference,
  self?: number,
): Record<string, string> {
  const columns = keyColumns(to);
  const isNone = rows.length === 0 || (!isRequired && random.chance(50));
  const few = rows.slice(0, Math.ceil(rows.length * 0.6));
  const row = isNone ? undefined : random.pick(random.chance(60) ? few : rows);
  const own = self !== undefined && random.chance(5) ? makeKey(to, self) : undefined;
  return Object.fromEntries(
    columns.map((column) => [`${prefix}_${column}`, own?.[column] ?? row?.values[column] ?? "null"]),
  );
}
