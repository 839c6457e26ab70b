/*
 * What a database administrator has to know about the triggers that fire when rows of a target are deleted: the application's own code
 * decides what they do.
 */
import type { TableFacts } from "../../postgres/cleanup/catalog.ts";
import { formatTableName, type TableName } from "../../postgres/cleanup/identifiers.ts";
import { findCascaded } from "../../postgres/cleanup/references.ts";
import { type CleanupTarget, isOwnTable } from "../../postgres/cleanup/target.ts";
import type { TriggerFacts } from "../../postgres/cleanup/triggers.ts";
import type { TargetConfig } from "./config.ts";
import type { CheckFinding } from "./finding.ts";

/** Why triggers keep the target from being cleaned. What our own do is known. */
export function findTriggerFaults(facts: TableFacts): string[] {
  if (isOwnTable(facts) || facts.triggers.length === 0 || facts.countsDeletions) return [];
  return [
    `trigger ${facts.triggers.map(describe).join(", ")} fire when its rows are deleted, and Postgres does not count what they delete: set track_counts = on`,
  ];
}

/** The tables of which triggers may delete rows, as the configuration names them; undefined if no trigger fires. */
export function findWatched(facts: TableFacts, { table, cascade }: TargetConfig): readonly TableName[] | undefined {
  if (isOwnTable(facts) || facts.triggers.length === 0) return undefined;
  const reached = new Set([table, ...findCascaded(facts)].map(formatTableName));
  return cascade.filter((named) => !reached.has(formatTableName(named)));
}

/** What each trigger means for a run. */
export function adviseOnTriggers(target: CleanupTarget, { triggers }: TableFacts): CheckFinding[] {
  if (target.watched === undefined) return [];
  const also = target.watched.map(formatTableName);
  const limit = also.length === 0 ? "any other row" : `a row of any other table than ${also.join(", ")}`;
  return triggers.map((trigger) => ({
    level: "warning",
    message:
      `trigger ${describe(trigger)} calls ${trigger.function} with each deletion, which slows it down; rows with which ` +
      `it deletes ${limit} stay, and what it changes otherwise is not looked at` +
      (trigger.isSilencer
        ? "; if it keeps rows from being deleted, the run ends as failed and says how many are left"
        : ""),
  }));
}

function describe({ name, ...table }: TriggerFacts): string {
  return `${name} of ${formatTableName(table)}`;
}
