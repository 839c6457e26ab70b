/*
 * What a database administrator has to know about the foreign keys that lead to a target, and to say about its cascades.
 */
import type { TableFacts } from "../../postgres/cleanup/catalog.ts";
import { formatTableName, quoteIdentifier, quoteTable, type TableName } from "../../postgres/cleanup/identifiers.ts";
import type { ReferenceFacts } from "../../postgres/cleanup/reference-facts.ts";
import { findCascaded, findCircle, isBlocking } from "../../postgres/cleanup/references.ts";
import type { TargetConfig } from "./config.ts";
import type { CheckFinding } from "./finding.ts";

const ROLE = "apitoken_cleanup";

/** Why the references keep the target from being cleaned: cascades that the configuration does not name, and tables that cannot be read. */
export function findReferenceFaults(facts: TableFacts, config: TargetConfig): string[] {
  const circle = findCircle(facts);
  if (circle !== undefined) {
    const path = circle.map(formatTableName).join(" → ");
    return [
      `ON DELETE CASCADE leads in a circle (${path}), so nobody can say what would go: break it up, or clean another table`,
    ];
  }
  const unreadable = facts.references.filter(
    // The target's own rights have an error of their own.
    (reference) => mustRead(reference) && reference.oid !== facts.oid && !(reference.hasUsage && reference.mayRead),
  );
  return [...findUnnamed(facts, config), ...new Set(unreadable.map(describeUnreadable))];
}

/** Every table whose rows would go has to be named, so that nobody deletes them by accident. */
function findUnnamed(facts: TableFacts, { cascade }: TargetConfig): string[] {
  const named = new Set(cascade.map(formatTableName));
  const reached = findCascaded(facts).map(formatTableName);
  const unnamed = reached.filter((table) => !named.has(table));
  const missing =
    unnamed.length === 0
      ? []
      : [
          `cascade: ON DELETE CASCADE would delete rows of ${unnamed.join(", ")}, too; if they should go, name every table that is reached: ` +
            `cascade: [${reached.map((table) => (table.includes('"') ? `'${table}'` : table)).join(", ")}]`,
        ];
  // Triggers may delete rows of any table.
  const needless =
    facts.triggers.length > 0
      ? []
      : [...named].filter((table) => !reached.includes(table) && table !== formatTableName(facts));
  return [
    ...missing,
    ...needless.map(
      (table) => `cascade: neither ON DELETE CASCADE nor a trigger reaches ${table}; take it out of the list`,
    ),
  ];
}

function mustRead(reference: ReferenceFacts): boolean {
  return reference.onDelete === "cascade" || isBlocking(reference);
}

function describeUnreadable(reference: ReferenceFacts): string {
  const usage = reference.hasUsage ? "" : `grant usage on schema ${quoteIdentifier(reference.schema)} to ${ROLE}; `;
  return `${formatTableName(reference)} refers to it and may not be read: ${usage}grant select on ${quoteTable(reference)} to ${ROLE}`;
}

/** What each foreign key does to a deletion, and which of them need an index. */
export function adviseOnReferences(facts: TableFacts): CheckFinding[] {
  const nameOf = (oid: string): TableName => facts.references.find((reference) => reference.oid === oid) ?? facts;
  return facts.references.flatMap((reference) => {
    const to = reference.toOid === facts.oid ? "it" : formatTableName(nameOf(reference.toOid));
    const columns = reference.columns.join(", ");
    const who = `${formatTableName(reference)} (${columns}) refers to ${to} by ${reference.constraint}`;
    return [{ ...describeEffect(reference, facts.oid), who }]
      .map(({ level, effect }): CheckFinding => ({ level, message: `${who} on delete ${reference.onDelete}${effect}` }))
      .concat(reference.isIndexed ? [] : [adviseOnIndex(reference)]);
  });
}

function describeEffect(
  reference: ReferenceFacts,
  target: string,
): { readonly level: "note" | "warning"; readonly effect: string } {
  const isSelf = reference.oid === reference.toOid;
  if (isSelf && (reference.onDelete === "cascade" || (reference.oid === target && isBlocking(reference))))
    return { level: "note", effect: ": rows go together, and stay as long as one of them is not due" };
  if (isBlocking(reference)) {
    const effect = isSelf
      ? ": its rows go together, and what they would go with is counted as held if one of them would be left"
      : ": rows that it refers to stay and are counted as held";
    return { level: "warning", effect };
  }
  return { level: "note", effect: reference.onDelete === "cascade" ? ": its rows go too and are counted" : "" };
}

function adviseOnIndex(reference: ReferenceFacts): CheckFinding {
  const columns = reference.columns.map(quoteIdentifier).join(", ");
  return {
    level: "warning",
    message:
      `no index begins with ${formatTableName(reference)} (${columns}), so every deletion reads that table through: ` +
      `create index concurrently on ${quoteTable(reference)} (${columns})`,
  };
}
