import { z } from "zod";
import { createDemoTable, type DemoTable } from "../postgres/cleanup/demo.ts";
import { formatTableName, parseTableName } from "../postgres/cleanup/identifiers.ts";
import { openDatabase } from "../postgres/database.ts";
import { sqlState } from "../postgres/errors.ts";
import { ConfigError, databaseSettings, integerSetting, readEnvironment, readLogin } from "../runtime/config.ts";
import { EXIT_DONE } from "../runtime/program.ts";
import type { CommandLine } from "./run.ts";
import { formatCount } from "./table.ts";

const demoOptions = z.object({
  rows: integerSetting(1, 1_000_000_000).prefault("100000"),
  dead: z
    .string()
    .refine((text) => /^(0(\.\d+)?|1(\.0+)?)$/.test(text), 'must be a number from 0 to 1, such as "0.5"')
    .transform(Number)
    .prefault("0.5"),
  partitioned: z.boolean().default(false),
});

/** A table to try things on: made by the login itself, for the role apitoken_cleanup may make none. */
export async function fillDemoTable(
  name: string,
  options: CommandLine,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const login = readLogin(readEnvironment(z.object(databaseSettings), environment));
  const read = demoOptions.safeParse(options);
  if (!read.success) {
    throw new ConfigError(read.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`).join("\n"));
  }
  const table: DemoTable = {
    ...parseName(name),
    rows: read.data.rows,
    deadShare: read.data.dead,
    isPartitioned: read.data.partitioned,
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
  process.stdout.write(
    `${formatTableName(table)} has ${formatCount(table.rows)} rows, about ${Math.round(table.deadShare * 100)} % of them dead. In the configuration:\n\n` +
      `targets:\n  - table: ${JSON.stringify(formatTableName(table))}\n    expiresAt: expires_at\n    revokedAt: revoked_at\n    owner: user_id\n`,
  );
  return EXIT_DONE;
}

function parseName(name: string): ReturnType<typeof parseTableName> {
  try {
    return parseTableName(name);
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}
