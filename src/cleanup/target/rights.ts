/*
 * What keeps the cleanup's role from a table's rows: missing rights, and what makes Postgres delete nothing without an error.
 */
import type { TableFacts } from "../../postgres/cleanup/catalog.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "../../postgres/cleanup/identifiers.ts";
import { isOwnTable } from "../../postgres/cleanup/target.ts";

const ROLE = "apitoken_cleanup";

/** Why the rows cannot be deleted as they are stored. Each message ends with the command that repairs it, where there is one. */
export function findObstructions(facts: TableFacts): string[] {
  return [...findWrongKind(facts), ...findMissingRights(facts), ...(isOwnTable(facts) ? [] : findSilencers(facts))];
}

function findWrongKind(facts: TableFacts): string[] {
  const { kind, foreignPartitions } = facts;
  const name = formatTableName(facts);
  if (kind !== "table" && kind !== "partitioned") {
    const shown = kind === "other" ? "not a table" : `a ${kind}`;
    return [`${name} is ${shown}, and rows can be deleted from tables only; name the table behind it`];
  }
  return foreignPartitions.map(
    (partition) =>
      `${partition} is stored on another server; name the partitions that are stored here, each as a target`,
  );
}

function findMissingRights(facts: TableFacts): string[] {
  const closed = [...(facts.hasUsage ? [] : [quoteIdentifier(facts.schema)]), ...facts.closedSchemas].map(
    (schema) => `the schema is closed to the role: grant usage on schema ${schema} to ${ROLE}`,
  );
  if (isOwnTable(facts)) return closed;
  const missing = [
    ...(facts.maySelect ? [] : ["select"]),
    ...(facts.mayDelete ? [] : ["delete"]),
    // Needed for FOR UPDATE only, since nothing is ever updated: one column is enough.
    ...(facts.mayUpdate || facts.columns.length === 0
      ? []
      : [`update (${quoteIdentifier(facts.key[0] ?? facts.columns[0]?.name ?? "")})`]),
  ];
  return [
    ...closed,
    ...(missing.length === 0
      ? []
      : [`the role lacks rights: grant ${missing.join(", ")} on ${quoteTable(facts)} to ${ROLE}`]),
    ...facts.closedPartitions.map(
      (partition) => `the role lacks rights on a partition: grant select, delete, update on ${partition} to ${ROLE}`,
    ),
  ];
}

/** What makes Postgres delete less than it was told to, or refuse every night what it accepted when it was tried. */
function findSilencers(facts: TableFacts): string[] {
  return [
    ...facts.hidden.map(
      (table) =>
        `row-level security hides rows of ${table} from the role, which would neither count nor delete them: ` +
        `create policy ${ROLE} on ${table} to ${ROLE} using (true)`,
    ),
    ...facts.restricted.map(
      ({ name, table, command }) =>
        `restrictive policy ${quoteIdentifier(name)} of ${table} may hide rows from the role: ${command}`,
    ),
    ...facts.rules.map(
      ({ name, table }) =>
        `rule ${quoteIdentifier(name)} of ${table} changes what DELETE does, and Postgres then refuses the batches; use a trigger ` +
        `instead of it: alter table ${table} disable rule ${quoteIdentifier(name)}`,
    ),
    ...facts.unidentified.map(
      (table) =>
        `${table} is published for replication and has no replica identity, so Postgres refuses every DELETE: ` +
        `alter table ${table} replica identity full`,
    ),
  ];
}

/** What an error says and, if it is a right that nobody could have foreseen, such as one of a policy's own query, the command that grants it. */
export function explainRefusal(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, kind = "", name = ""] =
    /^permission denied for (schema|table|view|function|type) (.+)$/.exec(error.message) ?? [];
  const right = RIGHTS[kind];
  return right === undefined ? error.message : `${error.message}: grant ${right} ${name} to ${ROLE}`;
}

const RIGHTS: Readonly<Record<string, string>> = {
  schema: "usage on schema",
  table: "select on",
  view: "select on",
  function: "execute on function",
  type: "usage on type",
};
