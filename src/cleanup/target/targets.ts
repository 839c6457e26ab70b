/*
 * The tables that a run cleans: the operator's own and those of the configuration file, checked in the same way.
 */
import { findConstantFault, findNearTable, findTimeZone, readTableFacts } from "../../postgres/cleanup/catalog.ts";
import { formatTableName } from "../../postgres/cleanup/identifiers.ts";
import { findCascaded, hasRowsOf } from "../../postgres/cleanup/references.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import { isReportedByServer } from "../../postgres/errors.ts";
import { ConfigError } from "../../runtime/config.ts";
import type { CleanupConfig } from "../config.ts";
import { type CheckedTarget, checkTarget } from "./check.ts";
import type { TargetConfig } from "./config.ts";
import type { CheckFinding } from "./finding.ts";
import { explainRefusal } from "./rights.ts";

/** The operator's own table, which is always cleaned. */
export function ownTarget(config: CleanupConfig): TargetConfig {
  return {
    table: { schema: "apitoken", table: "tokens" },
    name: "apitoken.tokens",
    where: [],
    expiresAt: [{ column: "expires_at", plusMs: 0, plusSeconds: undefined }],
    graceSeconds: "grace_seconds",
    revokedAt: [{ column: "revoked_at", plusMs: 0, plusSeconds: undefined }],
    revoked: undefined,
    never: [],
    timezone: undefined,
    epoch: undefined,
    retention: config.retention,
    key: undefined,
    owner: "owner",
    audit: config.audit,
    auditKeys: "plain",
    cascade: [],
    maxFraction: undefined,
    firstRunMaxFraction: 1,
    confirm: [],
  };
}

/**
 * Checks every target against the live database, the operator's own first. A target that cannot be checked has an error, like one
 * that does not fit; only a lost database throws.
 */
export async function checkTargets(db: Queryable, config: CleanupConfig): Promise<CheckedTarget[]> {
  const checked: CheckedTarget[] = [];
  for (const target of [ownTarget(config), ...config.targets]) {
    try {
      checked.push(await checkOne(db, target, config.maxFraction));
    } catch (error) {
      if (!isReportedByServer(error)) throw error;
      const message = `it cannot be checked: ${explainRefusal(error)}`;
      checked.push({
        name: target.name,
        config: target,
        target: undefined,
        findings: [{ level: "error", message }],
        failure: error,
        constants: [],
      });
    }
  }
  return linkTargets(checked);
}

/**
 * Tells each target of the others whose rows its deletions could reach: those that are not due must not go with them. What another
 * target would keep is unknown as long as that one has errors.
 */
function linkTargets(checked: readonly CheckedTarget[]): CheckedTarget[] {
  const targets = checked.flatMap(({ target }) => (target === undefined ? [] : [target]));
  const unknown = new Set(
    checked.filter(({ target }) => target === undefined).map(({ config }) => formatTableName(config.table)),
  );
  const configured = new Set(checked.map(({ config }) => formatTableName(config.table)));
  return checked.map((each) => {
    const { target } = each;
    if (target === undefined) return each;
    const cascaded = findCascaded(target);
    const names = [target, ...cascaded.flatMap((table) => [table, ...table.relatives])].map(formatTableName);
    const fault = names.find((name) => unknown.has(name));
    if (fault !== undefined) {
      return refuse(
        each,
        `its deletions would reach ${fault}, which is a target with errors: nobody knows which of its rows must stay`,
      );
    }
    const judged = (target.watched ?? []).map(formatTableName).find((name) => configured.has(name));
    if (judged !== undefined) {
      return refuse(
        each,
        `cascade: ${judged} is a target of its own, and nobody knows which of its rows a trigger deletes; take it out of the list`,
      );
    }
    const reached = targets.filter(
      (other) => other !== target && (other.oid === target.oid || cascaded.some((table) => hasRowsOf(table, other))),
    );
    return { ...each, target: { ...target, reached } };
  });
}

function refuse(checked: CheckedTarget, message: string): CheckedTarget {
  return { ...checked, target: undefined, findings: [...checked.findings, { level: "error", message }] };
}

/** The messages of a target's errors; empty if it can be cleaned. */
export function findErrors({ findings }: Pick<CheckedTarget, "findings">): string[] {
  return findings.filter(({ level }) => level === "error").map(({ message }) => message);
}

/** The targets, if none has an error. Throws a ConfigError that names all errors. */
export function requireTargets(checked: readonly CheckedTarget[]): CleanupTarget[] {
  const faults = checked.flatMap((each) => findErrors(each).map((message) => `${each.name}: ${message}`));
  if (faults.length > 0) throw new ConfigError(faults.join("\n"), { faultCode: "APITOKEN_E_TARGET_INVALID" });
  return checked.flatMap(({ target }) => (target === undefined ? [] : [target]));
}

async function checkOne(db: Queryable, target: TargetConfig, maxFraction: number): Promise<CheckedTarget> {
  const zone = target.timezone === undefined ? undefined : await findTimeZone(db, target.timezone);
  const facts = await readTableFacts(db, target.table);
  const near = facts === undefined ? await findNearTable(db, target.table) : undefined;
  const checked = checkTarget({ ...target, timezone: zone ?? target.timezone }, facts, maxFraction, near);
  const faults: CheckFinding[] = [];
  if (zone === undefined && target.timezone !== undefined) {
    const shown = JSON.stringify(target.timezone);
    faults.push({
      level: "error",
      message: `timezone: Postgres has no time zone ${shown}; pg_timezone_names lists those it has`,
    });
  }
  for (const { field, column, type, constant } of checked.constants) {
    const fault = await findConstantFault(db, constant, type);
    if (fault !== undefined)
      faults.push({ level: "error", message: `${field}: ${column} is of type ${type}: ${fault}` });
  }
  return faults.length === 0 ? checked : { ...checked, target: undefined, findings: [...faults, ...checked.findings] };
}
