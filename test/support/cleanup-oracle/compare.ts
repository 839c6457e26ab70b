/*
 * Compares what the cleanup has done and said with what the oracle says. A difference is a sentence for people.
 */
import type { RunReport, TargetReport } from "../../../src/cleanup/report/report.ts";
import { type Case, findReached } from "./case.ts";
import type { Ask, Verdict } from "./oracle.ts";

/** Notes a difference between two values. */
function differ(what: string, actual: unknown, expected: unknown): string[] {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  return left === right ? [] : [`${what}: ${left}, and the oracle says ${right}`];
}

const sorted = (record: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    Object.entries(record)
      .filter(([, rows]) => rows > 0)
      .sort(([left], [right]) => (left < right ? -1 : 1)),
  );

const countReason = ({ rows }: Verdict, among: readonly number[], reason: "expired" | "revoked") =>
  rows.filter((row) => row.reason === reason && among.includes(row.n)).length;

const findReport = (report: RunReport, { number }: Case, { target }: Verdict): TargetReport | undefined =>
  report.targets.find(({ table }) => table === `c${number} ${target.name}`);

const withSchema = ({ number }: Case, taken: Readonly<Record<string, number>>) =>
  sorted(Object.fromEntries(Object.entries(taken).map(([table, rows]) => [`c${number}.${table}`, rows])));

/**
 * Whether rows that go may release others of the same target: rows of a table that goes with them keep one another. A dry run counts
 * the released ones as held.
 */
function isChained({ tables }: Case, { table }: Verdict): boolean {
  const reached = findReached(tables, table.name);
  return tables.some(
    ({ name, self }) => reached.includes(name) && (self?.action === "restrict" || self?.action === "no action"),
  );
}

/** What a dry run says of the rows before anything is deleted. */
export function comparePreview(report: RunReport, each: Case, verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap((verdict) => {
    const { rows, preview, target } = verdict;
    const said = findReport(report, each, verdict);
    const { before } = said ?? {};
    if (before === undefined) return [`${target.name}: no preview: ${said?.message}`];
    const name = `preview of ${target.name}`;
    const due = {
      expired: countReason(verdict, preview.gone, "expired"),
      revoked: countReason(verdict, preview.gone, "revoked"),
    };
    return [
      ...differ(`${name}, rows`, before.total, rows.length),
      ...differ(`${name}, expired`, before.expired, rows.filter((row) => row.has_expired).length),
      ...differ(`${name}, revoked`, before.revoked, rows.filter((row) => row.is_revoked && !row.has_expired).length),
      ...differ(
        `${name}, without an expiry`,
        before.withoutExpiry,
        rows.filter((row) => !row.has_expiry && !row.is_revoked).length,
      ),
      ...(isChained(each, verdict)
        ? differ(
            `${name}, due or held`,
            before.due.expired + before.due.revoked + before.held,
            preview.gone.length + preview.held,
          )
        : differ(`${name}, due and held`, [before.due, before.held], [due, preview.held])),
      ...(isChained(each, verdict)
        ? []
        : differ(
            `${name}, cascades`,
            sorted(Object.fromEntries(said?.cascades.map(({ table, rows: taken }) => [table, taken]) ?? [])),
            withSchema(each, preview.taken),
          )),
    ];
  });
}

/** What the run says that it has done, and why rows have stayed. */
export function compareReport(report: RunReport, each: Case, verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap((verdict) => {
    const { end, target } = verdict;
    const said = findReport(report, each, verdict);
    if (said === undefined) return [`${target.name}: no report`];
    const dropped = said.partitions.dropped.reduce((sum, { rows }) => sum + rows, 0);
    const gone = said.deleted.expired + said.deleted.revoked + dropped;
    return [
      ...differ(`${target.name}, outcome`, [said.outcome, said.message], ["succeeded", undefined]),
      ...differ(`${target.name}, rows gone`, gone, end.gone.length + end.relatives),
      ...(end.relatives > 0
        ? []
        : differ(`${target.name}, revoked rows gone`, said.deleted.revoked, countReason(verdict, end.gone, "revoked"))),
      ...differ(`${target.name}, held`, [said.after?.held, said.after?.due], [end.held, { expired: 0, revoked: 0 }]),
      ...differ(`${target.name}, gone by cascade`, sorted(said.deleted.taken), withSchema(each, end.taken)),
    ];
  });
}

/** The rows of every table, which must be those of the oracle's copy. */
export async function compareRows(ask: Ask, { number, tables }: Case): Promise<string[]> {
  const differences: string[] = [];
  for (const { name } of tables) {
    const rows = await ask<{ n: number; here: string | null; copy: string | null }>(
      `select n, to_jsonb(here)::text as here, to_jsonb(copy)::text as copy
       from c${number}.${name} as here full join o${number}.${name} as copy using (n)
       where to_jsonb(here)::text is distinct from to_jsonb(copy)::text order by n`,
    );
    for (const { n, here, copy } of rows) {
      if (copy === null) differences.push(`row ${n} of ${name} stayed, and the oracle says that it goes: ${here}`);
      else if (here === null) differences.push(`row ${n} of ${name} went, and the oracle says that it stays: ${copy}`);
      else differences.push(`row ${n} of ${name} is ${here}, and the oracle's is ${copy}`);
    }
  }
  return differences;
}

/** The audit trail, which must have every key of the rows that are gone, once, and no other. */
export async function compareTrail(
  ask: Ask,
  { number, tables }: Case,
  verdicts: readonly Verdict[],
): Promise<string[]> {
  const differences: string[] = [];
  for (const { name } of tables) {
    const own = verdicts.filter(({ table, target }) => table.name === name && target.audit !== "none");
    const gone = own.flatMap(({ rows, end, target }) =>
      rows.filter(({ n }) => end.gone.includes(n)).map((row) => ({ ...row, audit: target.audit })),
    );
    const relatives = own.reduce((sum, { end }) => sum + end.relatives, 0);
    const [said] = await ask<{ keys: string[]; rows: number }>(
      `select coalesce(array_agg(key order by key) filter (where key is not null), '{}') as keys,
              (select coalesce(sum(rows), 0)::integer from apitoken.cleaned_batches where table_name = 'c${number}.${name}') as rows
       from (select reason || ' ' || row_key collate "C" as key from apitoken.cleaned_rows where table_name = 'c${number}.${name}') as k`,
    );
    const keys = gone
      .filter(({ audit }) => audit === "rows")
      .map(({ reason, key }) => `${reason === "expired" ? "Expired" : "Revoked"} ${key}`);
    // Rows that go with those of another target are recorded as that one says.
    if (relatives === 0) differences.push(...differ(`trail of ${name}, keys`, said?.keys, keys.sort()));
    differences.push(...differ(`trail of ${name}, rows`, said?.rows, gone.length + relatives));
  }
  return differences;
}
