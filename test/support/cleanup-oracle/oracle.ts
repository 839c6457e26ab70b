/*
 * Asks the oracle (oracle.sql) about a case. What a target means, it learns from the case, never by the cleanup's own code.
 */
import { readFileSync } from "node:fs";
import {
  type Case,
  DURATIONS,
  findReached,
  keyColumns,
  listTargets,
  type Table,
  type Target,
  type Test,
  type TimeSpec,
} from "./case.ts";
import { formatMoment, type Moment } from "./values.ts";

/** What the oracle says of one target. */
export interface Verdict {
  readonly table: Table;
  readonly target: Target;
  readonly rows: readonly VerdictRow[];
  /** What a run would do to this target if it were the only one. */
  readonly preview: Outcome;
  /** What the run does to it, after the targets before it. */
  readonly end: Outcome;
}

/** The rows that go, how many stay although they are due, and how many of other tables go with them, by table. */
export interface Outcome {
  readonly gone: readonly number[];
  /** Due rows of another target of the table that go with them, because they refer to them. */
  readonly relatives: number;
  readonly held: number;
  readonly taken: Readonly<Record<string, number>>;
}

/** What a target says of one row. `key` is what the audit trail should have. */
export interface VerdictRow {
  readonly n: number;
  readonly reason: "expired" | "revoked" | null;
  readonly has_expired: boolean;
  readonly is_revoked: boolean;
  readonly has_expiry: boolean;
  readonly key: string;
}

/** Runs SQL as the superuser. */
export type Ask = <Row extends object = Record<string, unknown>>(sql: string) => Promise<Row[]>;

/** Creates the oracle, and stops the database's clock. */
export async function createOracle(ask: Ask, now: Moment): Promise<void> {
  await ask(readFileSync(new URL("oracle.sql", import.meta.url), "utf8"));
  await ask(`call oracle.stop_clock(${formatMoment(now.micros)}::text)`);
}

/** Judges each target of a case, before anything is deleted, then deletes on the copy what may go, target after target. */
export async function judge(ask: Ask, trial: Case, now: Moment): Promise<Verdict[]> {
  const { number, tables } = trial;
  const schema = `o${number}`;
  const each = listTargets(trial);
  for (const { table, target } of each) await ask(formatVerdicts(table, target, schema, now));
  for (const table of tables) await ask(formatKept(table, schema));
  const call = async (name: string, table: Table, target: Target) => {
    const reached = findReached(tables, table.name).map((other) => `'${other}'`);
    const args = `'${schema}', '${table.name}', '${target.name}', array[${reached.join(", ")}]::text[]`;
    const [row] = await ask<{ said: unknown }>(`select oracle.${name}(${args}) as said`);
    return row?.said;
  };
  const previews: unknown[] = [];
  for (const { table, target } of each) previews.push(await call("preview", table, target));
  const verdicts: Verdict[] = [];
  for (const [place, { table, target }] of each.entries()) {
    const rows = await ask<VerdictRow>(
      `select n, reason, has_expired, is_revoked, has_expiry, key from oracle.verdicts
       where schema_name = '${schema}' and table_name = '${table.name}' and target = '${target.name}' order by n`,
    );
    const preview = previews[place] as Outcome;
    verdicts.push({ table, target, rows, preview, end: (await call("clean", table, target)) as Outcome });
  }
  return verdicts;
}

function formatVerdicts(table: Table, target: Target, schema: string, now: Moment): string {
  const { expiresAt, revokedAt, revoked, retention } = target;
  const micros = (duration: string) => BigInt(DURATIONS[duration] ?? 0) * 1_000n;
  const expired = (before: bigint) => (expiresAt.length === 0 ? "false" : `coalesce(expiry[1] <= ${before}, false)`);
  const ways = [
    ...(revokedAt.length === 0 ? [] : ["revocation[1] <= BEFORE"]),
    ...(revoked.length === 0 ? [] : [formatTests(revoked)]),
  ];
  const isRevoked = (before: bigint) =>
    ways.length === 0 ? "false" : `coalesce(${ways.join(" and ").replace("BEFORE", String(before))}, false)`;
  return `insert into oracle.verdicts
    select '${schema}', '${table.name}', '${target.name}', n,
           case when ${expired(now.micros - micros(retention.expired))} then 'expired'
                when ${isRevoked(now.micros - micros(retention.revoked))} then 'revoked' end,
           ${expired(now.micros)}, ${isRevoked(now.micros)}, coalesce(cardinality(expiry) > 0, false), ${formatKey(table, target)}
    from (select r.*, ${formatTimes(expiresAt, table, target)} as expiry, ${formatTimes(revokedAt, table, target)} as revocation
          from ${schema}.${table.name} r) as r
    where ${formatTests(target.where)}`;
}

function formatTimes(specs: readonly TimeSpec[], { times, unit, zone }: Table, { never }: Target): string {
  const values = `array[${never.map((value) => `'${value}'`).join(", ")}]::text[]`;
  const each = specs.map(({ column, plus = "0s", plusSeconds = false }) => {
    const ms = DURATIONS[plus] ?? 0;
    return `oracle.time_of('${times[column]}', r.${column}::text, '${unit}', '${zone}', ${ms} / 1000.0, ${plusSeconds}, r.lasts::numeric, ${values})`;
  });
  return each.length === 0 ? "null::numeric[]" : `coalesce(${each.join(", ")})`;
}

/** Compares texts, so that it does not matter what a type's own operators do. */
function formatTests(tests: readonly Test[]): string {
  const each = tests.map(({ column, operator, values }) => {
    const list = values.map((value) => `'${value}'`).join(", ");
    if (values.length === 0) return `r.${column} ${operator}`;
    return `coalesce(r.${column}::text ${operator === "<>" ? "<> all" : "= any"} (array[${list}]), false)`;
  });
  return each.length === 0 ? "true" : each.join(" and ");
}

function formatKey(table: Table, { auditKeys }: Target): string {
  const columns = keyColumns(table).map((column) => `r.${column}`);
  const text = columns.length === 1 ? `${columns[0]}::text` : `json_build_array(${columns.join(", ")})::text`;
  const isHashed = auditKeys === "hashed" && table.key !== "bigint";
  return isHashed ? `'sha256:' || encode(sha256(convert_to(${text}, 'UTF8')), 'hex')` : text;
}

/** In the table itself, all rows that no target finds due must stay; for other tables only those that belong to a target. */
function formatKept({ name }: Table, schema: string): string {
  return `insert into oracle.kept
    select '${schema}', '${name}', r.n, v.n is not null
    from ${schema}.${name} r
      left join oracle.verdicts v on v.schema_name = '${schema}' and v.table_name = '${name}' and v.n = r.n
    where v.reason is null`;
}
