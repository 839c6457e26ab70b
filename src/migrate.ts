#!/usr/bin/env node
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { DatabaseLogin } from "./postgres/database.ts";
import {
  ConfigError,
  databaseSettings,
  durationBetween,
  readEnvironment,
  readLogin,
  readOptions,
} from "./runtime/config.ts";
import { EXIT_DONE, runProgram } from "./runtime/program.ts";
import { unlessAborted } from "./runtime/signals.ts";
import { VERSION } from "./runtime/version.ts";

const HELP = `apitoken migrate ${VERSION}

Brings the schema "apitoken" of a database up to date, in one transaction. Concurrent runs wait for each other.

Usage: DATABASE_URL=postgres://owner:password@host:5432/database migrate [--wait 5m]

The login must be allowed to create schemas. It must also be allowed to create the roles apitoken_controller,
apitoken_cleanup and apitoken_verifier, unless they exist already.

  --wait D     wait so long for a database that does not answer yet    [0s]
  --version    print the version
  -h, --help   print this

Instead of the URL, the file that APITOKEN_DATABASE_PASSWORD_FILE names may hold the password.

Exit codes: 0 up to date, 1 failed or stopped by a signal, 2 bad configuration.
`;

const RETRY_MS = 500;

function readWait(text: string): number {
  const result = durationBetween(0, 24 * 3_600_000).safeParse(text);
  if (result.success) return result.data;
  throw new ConfigError(`--wait is ${JSON.stringify(text)}: ${result.error.issues[0]?.message}`);
}

/** Migrates as soon as the database answers. Throws what it fails with when it has not after `waitMs`. */
async function migrateOnceThere(login: DatabaseLogin, waitMs: number): Promise<string[]> {
  const [{ migrate }, { DatabaseUnavailableError }] = await Promise.all([
    import("./postgres/migrations.ts"),
    import("./postgres/errors.ts"),
  ]);
  const endsAtMs = performance.now() + waitMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await migrate(login);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || performance.now() > endsAtMs) throw error;
      if (tries === 1) process.stderr.write(`migrate: ${error.message}; waiting for it\n`);
    }
    await delay(RETRY_MS);
  }
}

await runProgram("migrate", async (stop) => {
  const { values, positionals } = readOptions(process.argv.slice(2), {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
    wait: { type: "string", default: "0s" },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`"${positionals[0]}" is not an option of migrate`);
  const waitMs = readWait(values.wait);
  const login = readLogin(readEnvironment(z.object(databaseSettings), process.env));
  const migrations = await unlessAborted(migrateOnceThere(login, waitMs), stop);
  process.stdout.write(
    migrations.length === 0 ? "the schema is up to date\n" : migrations.map((name) => `ran ${name}\n`).join(""),
  );
  return EXIT_DONE;
});
