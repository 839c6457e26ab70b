/*
 * Advice on targets that could be cleaned better, because nobody reads EXPLAIN before the first run takes hours.
 */
import type { TableFacts } from "../../postgres/cleanup/catalog.ts";
import { quoteIdentifier, quoteTable } from "../../postgres/cleanup/identifiers.ts";
import { findDividingTime } from "../../postgres/cleanup/partitions.ts";
import type { CleanupTarget, IndexedTime } from "../../postgres/cleanup/target.ts";
import type { CheckFinding } from "./finding.ts";

/** What a database administrator should know about a target that can be cleaned. */
export function adviseOn(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  return [...adviseOnIndexes(target, facts), ...adviseOnPartitions(target, facts)];
}

/** The index that finds the dead rows of a large table, by its first column. */
export function findIndex(facts: Pick<TableFacts, "indexes">, column: string): string | undefined {
  return facts.indexes.find(({ columns, method }) => method === "btree" && columns[0] === column)?.name;
}

/**
 * The times whose indexes find all dead rows; undefined if some rows are in no index. The index on the expiry must not be partial.
 * The one on the revocation may leave out rows that were never revoked. The first of several columns is in no index.
 */
export function findIndexedTimes(
  { expiresAt, revokedAt, revoked }: Pick<CleanupTarget, "expiresAt" | "revokedAt" | "revoked">,
  facts: Pick<TableFacts, "indexes">,
): CleanupTarget["indexedTimes"] {
  const found: IndexedTime[] = [];
  const whole = { indexes: facts.indexes.filter(({ isPartial }) => !isPartial) };
  for (const [reason, times, indexed] of [
    ["expired", expiresAt, whole],
    ["revoked", revokedAt, facts],
  ] as const) {
    const [time] = times ?? [];
    if (time === undefined) continue;
    if (times?.length !== 1 || findIndex(indexed, time.column) === undefined) return undefined;
    found.push({ time, reason });
  }
  return revoked !== undefined && revokedAt === undefined ? undefined : found;
}

function adviseOnIndexes(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  const expiry = (target.expiresAt ?? []).map(({ column }) => ({ column, isSparse: false }));
  const revocation = (target.revokedAt ?? []).map(({ column }) => ({ column, isSparse: true }));
  return [...expiry, ...revocation].flatMap(({ column, isSparse }): CheckFinding[] => {
    const index = findIndex(facts, column);
    if (index !== undefined)
      return [{ level: "note", message: `dead rows by ${quoteIdentifier(column)} are found with index ${index}` }];
    const cost = "a table of more than 1 GiB is read through to find its dead rows";
    if (facts.columns.some(({ name, isVirtual }) => isVirtual && name === column)) {
      const why = `Postgres has no index on ${quoteIdentifier(column)}, a virtual generated column`;
      return [{ level: "warning", message: `${why}: ${cost}; a generated column that is stored can have an index` }];
    }
    // Postgres refuses CONCURRENTLY on a partitioned table: each partition gets its own index there.
    const how = target.isPartitioned ? "create index on only" : "create index concurrently on";
    const command = `${how} ${quoteTable(target)} (${quoteIdentifier(column)})${isSparse ? ` where ${quoteIdentifier(column)} is not null` : ""}`;
    const rest = target.isPartitioned ? ", then one on each partition, concurrently, and attach them" : "";
    return [
      {
        level: "warning",
        message: `no index begins with ${quoteIdentifier(column)}: ${cost}; ${command}${rest}`,
      },
    ];
  });
}

function adviseOnPartitions(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  if (!target.isPartitioned) return [];
  const emptied = "its dead partitions are emptied row by row, not dropped";
  if (facts.isReferredTo) return [{ level: "warning", message: `other tables refer to it: ${emptied}` }];
  const expiry = findDividingTime(target);
  if (expiry === undefined)
    return [{ level: "note", message: `more than one column decides about its rows: ${emptied}` }];
  if (!facts.isOwner) {
    const remedy = facts.isOwnerSuperuser
      ? `it belongs to the superuser ${facts.owner}, of whom no role should be a member: give it and its partitions to a role of ` +
        "their own, and grant that role to apitoken_cleanup"
      : `grant ${quoteIdentifier(facts.owner)} to apitoken_cleanup`;
    return [{ level: "warning", message: `the role is not a member of the owner, so ${emptied}; ${remedy}` }];
  }
  const isCut = facts.partitionedBy?.strategy === "range" && facts.partitionedBy.columns[0] === expiry.column;
  return [
    {
      level: "note",
      message: isCut
        ? "partitions whose rows are all past their retention are detached and dropped"
        : "partitions that are cut by the expiry column at a lower level are detached and dropped; others are emptied",
    },
  ];
}
