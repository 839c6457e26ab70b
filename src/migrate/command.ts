/*
 * The command line of `migrate`. A program of its own, because only it needs a login that owns the schema.
 */
import { defineCommand } from "../runtime/command/declare.ts";
import { databaseEnvironment, durationBetween } from "../runtime/config.ts";

const DAY_MS = 24 * 3_600_000;

export const migrateCommand = defineCommand({
  name: "migrate",
  summary: "update the database's schema",
  description: `Updates the schema "apitoken" of a database in one transaction. Concurrent runs wait for each other.

    The login must be allowed to create schemas. It must also be allowed to create the roles apitoken_controller,
    apitoken_cleanup and apitoken_verifier, unless they already exist.`,
  options: {
    wait: {
      schema: durationBetween(0, DAY_MS),
      valueName: "DURATION",
      default: "0s",
      help: "how long to wait for a database that does not answer",
    },
  },
  settings: databaseEnvironment,
  examples: ["DATABASE_URL=postgres://owner:password@host:5432/database migrate --wait 5m"],
  exitCodes: { done: "the schema is up to date", failed: "failed, or stopped by a signal" },
  run: async (context) => (await import("./run.ts")).runMigrations(context),
});
