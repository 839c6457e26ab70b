/*
 * How the cleanup connects. Its logins are set up by hand, so the usual mistakes get messages that say what to do.
 */
import { type Database, openDatabase } from "../postgres/database.ts";
import { sqlState } from "../postgres/errors.ts";
import { ConfigError } from "../runtime/config.ts";
import type { CleanupConfig } from "./config.ts";

/**
 * The database in the role apitoken_cleanup, with two connections: one for the batches, one to watch the server. Throws a
 * ConfigError if the server refuses the login.
 */
export async function openCleanupDatabase(config: CleanupConfig): Promise<Database> {
  const db = openDatabase({
    ...config.databaseLogin,
    role: "apitoken_cleanup",
    actor: "cleanup",
    maxConnections: 2,
    statementTimeoutMs: config.statementTimeoutMs,
    lockTimeoutMs: config.lockTimeoutMs,
  });
  await requireAccess(db).catch(async (error: unknown) => {
    await db.close();
    throw error;
  });
  return db;
}

/** SQLSTATEs of refusals that another attempt would meet again. */
const REFUSALS: Readonly<Record<string, string>> = {
  "28P01": "the password is wrong",
  "28000": "the server does not let this login in; look at pg_hba.conf",
  "3D000": "there is no such database",
  "22023": 'the role apitoken_cleanup does not exist; run "migrate" first',
  "42501": "the login is not a member of the role apitoken_cleanup; grant apitoken_cleanup to it",
};

async function requireAccess(db: Database): Promise<void> {
  await db.query({ text: "select" }).catch((error: unknown) => {
    const fault = REFUSALS[sqlState(error) ?? ""];
    if (fault === undefined) throw error;
    throw new ConfigError(`DATABASE_URL: ${fault} (${(error as Error).message})`, {
      faultCode: "APITOKEN_E_DATABASE_REFUSED",
      cause: error,
    });
  });
}
