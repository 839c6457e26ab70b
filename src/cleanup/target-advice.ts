import type { TableFacts } from "../postgres/cleanup/catalog.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "../postgres/cleanup/identifiers.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import type { Finding } from "./finding.ts";

/** What a database administrator should know of a target that can be cleaned. */
export function adviseOn(target: CleanupTarget, facts: TableFacts): Finding[] {
  return [
    ...adviseOnIndexes(target, facts),
    ...adviseOnReferences(target),
    ...adviseOnPartitions(target, facts),
    ...(target.name === "apitoken.tokens" ? [] : facts.triggers).map(
      (trigger): Finding => ({
        level: "warning",
        message: `trigger ${trigger} fires for each deleted row and slows the deletion down`,
      }),
    ),
  ];
}

/** The index that leads to the dead rows of a large table, by its first column. */
export function findIndex(facts: Pick<TableFacts, "indexes">, column: string): string | undefined {
  return facts.indexes.find(({ columns, method }) => method === "btree" && columns[0] === column)?.name;
}

/**
 * The times by which indexes lead to all dead rows. An index on the expiry that leaves rows out is none; one on the
 * revocation need not have those that were never revoked.
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

function adviseOnIndexes(target: CleanupTarget, facts: TableFacts): Finding[] {
  const columns = [target.expiresAt.column, ...(target.revokedAt === undefined ? [] : [target.revokedAt.column])];
  return columns.flatMap((column): Finding[] => {
    const index = findIndex(facts, column);
    if (index !== undefined)
      return [{ level: "note", message: `dead rows by ${quoteIdentifier(column)} are found with index ${index}` }];
    const isSparse = column !== target.expiresAt.column;
    // CONCURRENTLY is refused on a partitioned table: there each partition gets its own.
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

function adviseOnReferences({ references }: CleanupTarget): Finding[] {
  return references.map(({ schema, table, constraint, onDelete, columns }): Finding => {
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

function adviseOnPartitions(target: CleanupTarget, facts: TableFacts): Finding[] {
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
        message: `the role is no member of the owner, and so dead partitions are emptied row by row, not dropped: grant ${quoteIdentifier(facts.owner)} to apitoken_cleanup`,
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
