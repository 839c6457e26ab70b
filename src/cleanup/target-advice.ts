/*
 * Advice on targets that could be cleaned better, because nobody reads EXPLAIN before the first run takes hours.
 */
import type { TableFacts } from "../postgres/cleanup/catalog.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "../postgres/cleanup/identifiers.ts";
import { type CleanupTarget, isOwnTable } from "../postgres/cleanup/target.ts";
import type { CheckFinding } from "./check-finding.ts";

/** What a database administrator should know about a target that can be cleaned. */
export function adviseOn(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  return [
    ...adviseOnIndexes(target, facts),
    ...adviseOnReferences(target),
    ...adviseOnPartitions(target, facts),
    ...(isOwnTable(target) ? [] : facts.triggers).map(
      (trigger): CheckFinding => ({
        level: "warning",
        message: `trigger ${trigger} fires for each deleted row and slows the deletion down`,
      }),
    ),
  ];
}

/** The index that finds the dead rows of a large table, by its first column. */
export function findIndex(facts: Pick<TableFacts, "indexes">, column: string): string | undefined {
  return facts.indexes.find(({ columns, method }) => method === "btree" && columns[0] === column)?.name;
}

/**
 * The time columns whose indexes find all dead rows; undefined if some rows are in no index. The index on the expiry must
 * not be partial. The one on the revocation may leave out rows that were never revoked.
 */
export function findIndexedTimes(
  { expiresAt, revokedAt, revoked }: Pick<CleanupTarget, "expiresAt" | "revokedAt" | "revoked">,
  facts: Pick<TableFacts, "indexes">,
): CleanupTarget["indexedTimes"] {
  const whole = { indexes: facts.indexes.filter(({ isPartial }) => !isPartial) };
  if (findIndex(whole, expiresAt.column) === undefined) return undefined;
  if (revokedAt === undefined) return revoked === undefined ? [expiresAt] : undefined;
  return findIndex(facts, revokedAt.column) === undefined ? undefined : [expiresAt, revokedAt];
}

function adviseOnIndexes(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  const columns = [target.expiresAt.column, ...(target.revokedAt === undefined ? [] : [target.revokedAt.column])];
  return columns.flatMap((column): CheckFinding[] => {
    const index = findIndex(facts, column);
    if (index !== undefined)
      return [{ level: "note", message: `dead rows by ${quoteIdentifier(column)} are found with index ${index}` }];
    const isSparse = column !== target.expiresAt.column;
    // Postgres refuses CONCURRENTLY on a partitioned table: each partition gets its own index there.
    const how = target.isPartitioned ? "create index on only" : "create index concurrently on";
    const command = `${how} ${quoteTable(target)} (${quoteIdentifier(column)})${isSparse ? ` where ${quoteIdentifier(column)} is not null` : ""}`;
    const rest = target.isPartitioned ? ", then one on each partition, concurrently, and attach them" : "";
    return [
      {
        level: "warning",
        message: `no index begins with ${quoteIdentifier(column)}: a table of more than 1 GiB is read through to find its dead rows; ${command}${rest}`,
      },
    ];
  });
}

function adviseOnReferences({ references }: CleanupTarget): CheckFinding[] {
  return references.map(({ schema, table, constraint, onDelete, columns }): CheckFinding => {
    const who = `${formatTableName({ schema, table })} (${columns.join(", ")}) refers to it by ${constraint}`;
    if (onDelete === "cascade")
      return { level: "note", message: `${who} on delete cascade: its rows go too and are counted` };
    if (onDelete === "restrict" || onDelete === "no action") {
      return {
        level: "warning",
        message: `${who} on delete ${onDelete}: rows that it refers to stay and are counted as held`,
      };
    }
    return { level: "note", message: `${who} on delete ${onDelete}` };
  });
}

function adviseOnPartitions(target: CleanupTarget, facts: TableFacts): CheckFinding[] {
  if (!target.isPartitioned) return [];
  if (facts.references.length > 0) {
    return [
      {
        level: "warning",
        message: "other tables refer to it: its dead partitions are emptied row by row, not dropped",
      },
    ];
  }
  if (!facts.isOwner) {
    return [
      {
        level: "warning",
        message: `the role is not a member of the owner, so dead partitions are emptied row by row, not dropped: grant ${quoteIdentifier(facts.owner)} to apitoken_cleanup`,
      },
    ];
  }
  const isCut = facts.partitionedBy?.strategy === "range" && facts.partitionedBy.columns[0] === target.expiresAt.column;
  return [
    {
      level: "note",
      message: isCut
        ? "partitions whose rows are all past their retention are detached and dropped"
        : "partitions that are cut by the expiry column at a lower level are detached and dropped; others are emptied",
    },
  ];
}
