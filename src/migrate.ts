#!/usr/bin/env node
import { z } from "zod";
import { ConfigError, databaseUrlSetting, readEnvironment, readOptions } from "./runtime/config.ts";
import { EXIT_DONE, runProgram } from "./runtime/program.ts";
import { unlessAborted } from "./runtime/signals.ts";
import { VERSION } from "./runtime/version.ts";

const HELP = `apitoken migrate ${VERSION}

Brings the schema "apitoken" of a database up to date, in one transaction. Concurrent runs wait for each other.

Usage: DATABASE_URL=postgres://owner:password@host:5432/database migrate

The login must be allowed to create schemas. It must also be allowed to create the roles apitoken_controller,
apitoken_cleanup and apitoken_verifier, unless they exist already.

  --version    print the version
  -h, --help   print this

Exit codes: 0 up to date, 1 failed or stopped by a signal, 2 bad configuration.
`;

await runProgram("migrate", async (stop) => {
  const { values, positionals } = readOptions(process.argv.slice(2), {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`"${positionals[0]}" is not an option of migrate`);
  const { DATABASE_URL } = readEnvironment(z.object({ DATABASE_URL: databaseUrlSetting }), process.env);
  const { migrate } = await import("./postgres/migrations.ts");
  const migrations = await unlessAborted(migrate(DATABASE_URL), stop);
  process.stdout.write(
    migrations.length === 0 ? "the schema is up to date\n" : migrations.map((name) => `ran ${name}\n`).join(""),
  );
  return EXIT_DONE;
});
