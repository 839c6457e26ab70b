/*
 * `cleanup demo-table`: a table to try the cleanup on, so that nobody has to experiment on a real one.
 */
import { createDemoTable, type DemoTable } from "../postgres/cleanup/demo.ts";
import { formatTableName, parseTableName } from "../postgres/cleanup/identifiers.ts";
import { openDatabase } from "../postgres/database.ts";
import { sqlState } from "../postgres/errors.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { ConfigError, databaseEnvironment, readEnvironment, readLogin } from "../runtime/config.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { formatCount } from "../runtime/text.ts";
import { DEFAULT_MAX_FRACTION, type DemoOptions } from "./options.ts";
import { DEFAULT_FIRST_RUN_MAX_FRACTION } from "./target/config.ts";

/** `cleanup demo-table`; returns its exit code. The login itself creates the table: the role apitoken_cleanup must not. */
export async function runDemoTable({ argument, options, environment }: CommandContext<DemoOptions>): Promise<number> {
  const login = readLogin(readEnvironment(databaseEnvironment, environment));
  const table: DemoTable = {
    ...parseName(argument),
    rows: options.rows,
    deadShare: options.dead,
    isPartitioned: options.partitioned,
  };
  const db = openDatabase({ ...login, actor: "cleanup-demo", maxConnections: 1, statementTimeoutMs: 0 });
  try {
    await db.withConnection((session) => createDemoTable(session, table));
  } catch (error) {
    if (sqlState(error) === "42P07")
      throw new ConfigError(`${formatTableName(table)} exists already; name another`, { cause: error });
    throw error;
  } finally {
    await db.close();
  }
  process.stdout.write(describe(table));
  return EXIT.done;
}

function describe(table: DemoTable): string {
  const name = formatTableName(table);
  return `${name} has ${formatCount(table.rows)} rows, about ${Math.round(table.deadShare * 100)} % of them dead. In the configuration:

targets:
  - table: ${JSON.stringify(name)}
    expiresAt: expires_at
    revokedAt: revoked_at
    owner: user_id
${allow(table)}`;
}

/** What the configuration has to say so that the first run may delete so many rows. */
function allow({ deadShare }: DemoTable): string {
  return [
    ...(deadShare > DEFAULT_FIRST_RUN_MAX_FRACTION ? [`    firstRunMaxFraction: ${deadShare}\n`] : []),
    ...(deadShare > Number(DEFAULT_MAX_FRACTION) ? [`    maxFraction: ${deadShare}\n`] : []),
  ].join("");
}

function parseName(name: string): ReturnType<typeof parseTableName> {
  try {
    return parseTableName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}
