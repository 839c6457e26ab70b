/*
 * `cleanup explain`: what one row is to the cleanup, for somebody who asks why it is still there, or where it has gone.
 */
import { chooseCutoffs } from "../postgres/cleanup/counts.ts";
import { formatTableName, IdentifierError, parseTableName } from "../postgres/cleanup/identifiers.ts";
import { findInTrail, type RowKey, readKey, readRow } from "../postgres/cleanup/row.ts";
import { prepareRun } from "../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import type { Queryable } from "../postgres/database.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { usageFault } from "../runtime/command/faults.ts";
import { ConfigError } from "../runtime/config.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { isColoured } from "../runtime/terminal.ts";
import { type CleanupConfig, readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import { type Explanation, formatExplanation } from "./explain/format.ts";
import { judgeRow } from "./explain/verdict.ts";
import type { ExplainOptions } from "./options.ts";
import type { CheckedTarget } from "./target/check.ts";
import { checkTargets, requireTargets } from "./target/targets.ts";

/** `cleanup explain`; returns its exit code. Writes nothing. */
export async function runExplain({ options, environment }: CommandContext<ExplainOptions>): Promise<number> {
  const { table, key } = options;
  if (table === undefined || key === undefined) {
    throw new ConfigError(usageFault.needsOption("explain", table === undefined ? "--table" : "--key"), {
      faultCode: "APITOKEN_E_USAGE",
    });
  }
  const config = readCleanupConfig(options, environment);
  const db = await openCleanupDatabase(config);
  try {
    const explanation = await db.withConnection((session) => explain(session, config, { table, key }));
    process.stdout.write(
      options.output === "json"
        ? `${JSON.stringify(explanation)}\n`
        : formatExplanation(explanation, isColoured(process.stdout, environment, options.color)),
    );
    return explanation.isFound || explanation.cleaned.length > 0 ? EXIT.done : EXIT.failed;
  } finally {
    await db.close();
  }
}

async function explain(
  session: Queryable,
  config: CleanupConfig,
  asked: { readonly table: string; readonly key: string },
): Promise<Explanation> {
  await prepareRun(session);
  await requireSchema(session);
  const targets = requireTargets(findAsked(await checkTargets(session, config), asked.table));
  const [first] = targets;
  if (first === undefined) throw new Error("a target without errors is missing");
  const verdicts: Explanation["targets"][number][] = [];
  for (const target of targets) {
    const key = await requireKey(session, target, asked.key);
    const row = await readRow(session, target, key, await chooseCutoffs(session, target.retention));
    if (row !== undefined) verdicts.push({ name: target.name, ...judgeRow(target, row) });
  }
  return {
    table: formatTableName(first),
    key: asked.key,
    isFound: verdicts.length > 0,
    targets: verdicts,
    cleaned: await findInTrail(session, first, await requireKey(session, first, asked.key)),
    trail: describeTrail(targets),
  };
}

/** All targets of a table, or the one with a name. Throws a ConfigError if there is none. */
function findAsked(checked: readonly CheckedTarget[], asked: string): CheckedTarget[] {
  const table = readTableName(asked);
  const ofTable = checked.filter(({ config }) => table !== undefined && formatTableName(config.table) === table);
  if (ofTable.length > 0) return ofTable;
  const byName = checked.filter(({ name }) => name === asked);
  if (byName.length > 0) return byName;
  const known = [...new Set(checked.map(({ name }) => name))].join(", ");
  throw new ConfigError(
    `--table is ${JSON.stringify(asked)}: no target has this name or table; the targets are ${known}`,
    {
      faultCode: "APITOKEN_E_USAGE",
    },
  );
}

function readTableName(text: string): string | undefined {
  try {
    return formatTableName(parseTableName(text));
  } catch (error) {
    if (!(error instanceof IdentifierError)) throw error;
    return undefined;
  }
}

async function requireKey(session: Queryable, target: CleanupTarget, given: string): Promise<RowKey> {
  if (target.key.length === 0) {
    throw new ConfigError(
      `${formatTableName(target)} has no primary key and no unique index without nulls; name columns in key`,
      { faultCode: "APITOKEN_E_TARGET_INVALID" },
    );
  }
  const key = await readKey(session, target, given);
  if (typeof key !== "string") return key;
  throw new ConfigError(`--key is not a key of ${formatTableName(target)} (${target.key.join(", ")}): ${key}`, {
    faultCode: "APITOKEN_E_USAGE",
  });
}

function describeTrail(targets: readonly CleanupTarget[]): string {
  return targets.some(({ audit }) => audit === "rows")
    ? "it has the keys of rows that were deleted while audit was rows"
    : "it has keys only of targets with audit: rows";
}
