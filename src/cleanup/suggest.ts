/*
 * `cleanup suggest`: a first configuration for somebody who knows the application and not the cleanup.
 */
import { limitLooks } from "../postgres/cleanup/candidates.ts";
import { type Database, openDatabase } from "../postgres/database.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { type CleanupConfig, readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import type { SuggestOptions } from "./options.ts";
import { createPatience } from "./patience.ts";
import { formatSuggestions, type Suggestions } from "./suggest/format.ts";
import { lookAround } from "./suggest/look.ts";

const LONGEST_MS = 60_000;

/** No table is worth more, and nobody should wait behind a look. */
const STATEMENT_MS = 5_000;
const LOCK_MS = 500;

/** `cleanup suggest`; returns its exit code. Writes nothing: its sessions are read-only. */
export async function runSuggest({ options, environment, stop }: CommandContext<SuggestOptions>): Promise<number> {
  // The file of the other commands is not read: what is in it may be what somebody wants to replace.
  const config = readCleanupConfig({}, { ...environment, APITOKEN_CLEANUP_CONFIG: "" });
  const suggestions = await look(config, stop);
  process.stdout.write(options.output === "json" ? `${JSON.stringify(suggestions)}\n` : formatSuggestions(suggestions));
  return EXIT.done;
}

async function look(config: CleanupConfig, stop: AbortSignal): Promise<Suggestions> {
  const patience = createPatience(process.stderr);
  const db = await openCleanupDatabase(config);
  const login = openLogin(config);
  try {
    return await db.withConnection((session) =>
      login.withConnection(async (asLogin) => {
        await requireSchema(session);
        for (const one of [session, asLogin]) await limitLooks(one, STATEMENT_MS, LOCK_MS);
        patience.begin("reading the catalog");
        return lookAround({
          session,
          asLogin,
          config,
          deadlineMs: performance.now() + LONGEST_MS,
          stop,
          onTable: (table) => patience.begin(`looking at ${table}`),
        });
      }),
    );
  } finally {
    patience.end();
    await Promise.all([db.close(), login.close()]);
  }
}

/** The login without the role, to look at values of tables that the role may not read yet. */
function openLogin({ databaseLogin }: CleanupConfig): Database {
  return openDatabase({ ...databaseLogin, actor: "cleanup-suggest", maxConnections: 1 });
}
