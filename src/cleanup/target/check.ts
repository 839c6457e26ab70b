/*
 * Checks whether a target can be cleaned as configured, so that a mistake in a column, a type or a right ends a run before it
 * deletes anything.
 */
import type { TableFacts } from "../../postgres/cleanup/catalog.ts";
import { type Constant, formatConstant } from "../../postgres/cleanup/condition.ts";
import { formatTableName, type TableName } from "../../postgres/cleanup/identifiers.ts";
import { type CleanupTarget, isOwnTable } from "../../postgres/cleanup/target.ts";
import { adviseOn, findIndexedTimes } from "./advice.ts";
import { type ConstantUse, createColumnReader, mayBeSecret } from "./columns.ts";
import type { TargetConfig } from "./config.ts";
import { hashDefinition } from "./definition.ts";
import type { CheckFinding } from "./finding.ts";
import { adviseOnReferences, findReferenceFaults } from "./references.ts";
import { findObstructions } from "./rights.ts";
import { adviseOnTriggers, findTriggerFaults, findWatched } from "./triggers.ts";

export interface CheckedTarget {
  readonly name: string;
  readonly config: TargetConfig;
  /** Undefined if there are errors. */
  readonly target: CleanupTarget | undefined;
  readonly findings: readonly CheckFinding[];
  /** What kept it from being checked at all; undefined if it was. */
  readonly failure?: unknown;
  /** What is left to be checked: whether the columns' types take these constants. */
  readonly constants: readonly ConstantUse[];
}

/**
 * Checks a target of the configuration against the catalog. `facts` is undefined if the table does not exist; then `near` may be a
 * table with a similar name.
 */
export function checkTarget(
  config: TargetConfig,
  facts: TableFacts | undefined,
  defaultMaxFraction: number,
  near?: TableName,
): CheckedTarget {
  const { name } = config;
  const findings: CheckFinding[] = [];
  const fail = (message: string) => void findings.push({ level: "error", message });
  if (facts === undefined) {
    fail(`there is no table ${formatTableName(config.table)} in this database${describeNear(near)}`);
    return { name, config, target: undefined, findings, constants: [] };
  }
  for (const message of findObstructions(facts)) fail(message);

  const columns = createColumnReader(facts, config, fail);
  const { graceSeconds } = config;
  const expiry = columns.readTimes("expiresAt", config.expiresAt);
  const expiresAt = graceSeconds === undefined ? expiry : expiry?.map((time) => ({ ...time, graceSeconds }));
  const revokedAt = columns.readTimes("revokedAt", config.revokedAt);
  columns.readCondition("where", config.where);
  columns.readCondition("revoked", config.revoked);
  for (const column of config.key ?? []) columns.find("key", column);
  if (config.owner !== undefined) columns.find("owner", config.owner);
  const key = config.key ?? facts.key;
  for (const message of [
    ...findMissingKey(config, key),
    ...findReferenceFaults(facts, config),
    ...findTriggerFaults(facts),
  ])
    fail(message);
  const { constants } = columns;
  if (findings.some(({ level }) => level === "error")) return { name, config, target: undefined, findings, constants };

  const target: CleanupTarget = {
    ...config.table,
    name,
    oid: facts.oid,
    isPartitioned: facts.kind === "partitioned",
    hasChildren: facts.hasChildren,
    where: config.where,
    expiresAt,
    revokedAt,
    revoked: config.revoked,
    retention: config.retention,
    key,
    hashesKeys: config.auditKeys === "hashed" && !isOwnTable(config.table) && mayBeSecret(facts, key),
    owner: config.owner,
    audit: config.audit,
    references: facts.references,
    reached: [],
    watched: findWatched(facts, config),
    silencers: facts.triggers.filter(({ isSilencer }) => isSilencer).map(({ name: trigger }) => trigger),
    indexedTimes: findIndexedTimes({ expiresAt, revokedAt, revoked: config.revoked }, facts),
    maxFraction: config.maxFraction ?? defaultMaxFraction,
    firstRunMaxFraction: config.firstRunMaxFraction,
    definition: hashDefinition(config),
  };
  return {
    name,
    config,
    target,
    findings: [
      ...findings,
      ...columns.unusedNever.map(describeUnused),
      ...adviseOnReferences(facts),
      ...adviseOn(target, facts),
      ...adviseOnTriggers(target, facts),
    ],
    constants,
  };
}

/** Without quotes, app."UserSession" is app.usersession, and YAML takes one pair of quotes for itself. */
function describeNear(near: TableName | undefined): string {
  if (near === undefined) return "";
  const name = formatTableName(near);
  return name.includes('"') ? `, but ${name}; in YAML, write it with two kinds of quotes: '${name}'` : `, but ${name}`;
}

function describeUnused(value: Constant): CheckFinding {
  const message = `never: no time column of this target can be ${formatConstant(value)}, so the value does nothing`;
  return { level: "warning", message };
}

function findMissingKey({ table, audit }: TargetConfig, key: readonly string[]): string[] {
  if (key.length > 0 || audit !== "rows") return [];
  const name = formatTableName(table);
  return [
    `audit: "rows" needs a key, and ${name} has no primary key and no unique index without nulls; name columns in key, or choose "summary"`,
  ];
}
