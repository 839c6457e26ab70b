/*
 * The tables that a run cleans: the operator's own and those of the configuration file, checked in the same way.
 */
import { isTimeZone, readTableFacts } from "../postgres/cleanup/catalog.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import type { Queryable } from "../postgres/database.ts";
import { ConfigError } from "../runtime/config.ts";
import type { CleanupConfig } from "./config.ts";
import { type CheckedTarget, checkTarget } from "./target-check.ts";
import type { TargetConfig } from "./target-config.ts";

/** The operator's own table, which is always cleaned. */
export function ownTarget(config: CleanupConfig): TargetConfig {
  return {
    table: { schema: "apitoken", table: "tokens" },
    expiresAt: "expires_at",
    graceSeconds: "grace_seconds",
    revokedAt: "revoked_at",
    revoked: undefined,
    timezone: undefined,
    epoch: undefined,
    retention: config.retention,
    key: undefined,
    owner: "owner",
    audit: config.audit,
    maxFraction: undefined,
  };
}

/** Checks every target against the live database, the operator's own first. */
export async function checkTargets(db: Queryable, config: CleanupConfig): Promise<CheckedTarget[]> {
  const checked: CheckedTarget[] = [];
  for (const target of [ownTarget(config), ...config.targets]) {
    const facts = await readTableFacts(db, target.table);
    const result = checkTarget(target, facts, config.maxFraction);
    const isWrongZone = target.timezone !== undefined && !(await isTimeZone(db, target.timezone));
    checked.push(isWrongZone ? refuseZone(result, target.timezone ?? "") : result);
  }
  return checked;
}

function refuseZone(checked: CheckedTarget, timezone: string): CheckedTarget {
  const message = `timezone: Postgres has no time zone ${JSON.stringify(timezone)}; pg_timezone_names lists those it has`;
  return { ...checked, target: undefined, findings: [...checked.findings, { level: "error", message }] };
}

/** The targets, if none has an error. Throws a ConfigError that names all errors. */
export function requireTargets(checked: readonly CheckedTarget[]): CleanupTarget[] {
  const faults = checked.flatMap(({ name, findings }) =>
    findings.filter(({ level }) => level === "error").map(({ message }) => `${name}: ${message}`),
  );
  if (faults.length > 0) throw new ConfigError(faults.join("\n"), { faultCode: "APITOKEN_E_TARGET_INVALID" });
  return checked.flatMap(({ target }) => (target === undefined ? [] : [target]));
}
