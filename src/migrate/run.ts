/*
 * Runs the migrations. Database and program often start together, so the program can wait until the database answers.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { DatabaseLogin } from "../postgres/database.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import { migrate } from "../postgres/migrations.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { databaseEnvironment, readEnvironment, readLogin } from "../runtime/config.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { unlessAborted } from "../runtime/signals.ts";

const RETRY_MS = 500;

/** `migrate`; returns its exit code. `wait` is in milliseconds. */
export async function runMigrations(context: CommandContext<{ readonly wait: number }>): Promise<number> {
  const { options, environment, stop } = context;
  const login = readLogin(readEnvironment(databaseEnvironment, environment));
  const migrations = await unlessAborted(migrateWhenReachable(login, options.wait), stop);
  process.stdout.write(
    migrations.length === 0 ? "the schema is up to date\n" : migrations.map((name) => `ran ${name}\n`).join(""),
  );
  return EXIT.done;
}

/** Migrates as soon as the database answers. Throws the last failure if it does not within `waitMs`. */
async function migrateWhenReachable(login: DatabaseLogin, waitMs: number): Promise<string[]> {
  const endsAtMs = performance.now() + waitMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await migrate(login);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || performance.now() > endsAtMs) throw error;
      if (attempt === 1) process.stderr.write(`migrate: ${error.message}; waiting for it\n`);
    }
    await delay(RETRY_MS);
  }
}
