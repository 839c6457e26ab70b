#!/usr/bin/env node
import { ConfigError, readOptions } from "../runtime/config.ts";
import { EXIT_DONE, runProgram } from "../runtime/program.ts";
import { VERSION } from "../runtime/version.ts";

const HELP = `apitoken cleanup ${VERSION}

Deletes tokens that are dead and past their retention, in short transactions, and keeps the audit trail's partitions.
Live tokens are never touched: the database itself refuses it to the role apitoken_cleanup.

Usage: cleanup [options]

  --dry-run             count what a run would delete, and write nothing (not even to cleanup_runs)
  -o, --output FORMAT   text (for a person) or json (one object on standard output)     [text]
  --max-fraction F      refuse to delete more than this part of a table of over
                        1,000 rows, before anything is deleted                          [0.9]
  --max-duration D      stop cleanly after this long, such as 30m                       [no limit]
  --version             print the version
  -h, --help            print this

Settings are environment variables; only DATABASE_URL has no default. Retentions are days (7d) or durations (168h):

  DATABASE_URL                         postgres://user:password@host:5432/database; the login must be a
                                       member of the role apitoken_cleanup
  APITOKEN_CLEANUP_RETENTION_EXPIRED   how long expired tokens are kept                 [7d]
  APITOKEN_CLEANUP_RETENTION_REVOKED   how long revoked tokens are kept                 [7d]
  APITOKEN_CLEANUP_AUDIT               record of deleted rows: rows, summary or none    [rows]
  APITOKEN_CLEANUP_AUDIT_RETENTION     how long the audit trail is kept                 [400d]
  APITOKEN_CLEANUP_BATCH_TARGET        how long one transaction should take             [100ms]
  APITOKEN_CLEANUP_LOCK_TIMEOUT        how long to wait for a lock of the table         [2s]
  APITOKEN_CLEANUP_STATEMENT_TIMEOUT   the longest that a statement may take            [5m]
  APITOKEN_LOG_LEVEL                   debug, info, warn or error                       [info]

Examples:

  DATABASE_URL=postgres://cleanup:secret@db/tokens cleanup --dry-run
  DATABASE_URL=postgres://cleanup:secret@db/tokens cleanup --output json --max-duration 30m

Exit codes: 0 done, or another run is at work; 1 failed; 2 bad configuration; 3 refused by the safety cap;
4 stopped by a deadline or a signal with work left.
`;

await runProgram("cleanup", async (stop) => {
  const { values, positionals } = readOptions(process.argv.slice(2), {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
    "dry-run": { type: "boolean" },
    output: { type: "string", short: "o" },
    "max-fraction": { type: "string" },
    "max-duration": { type: "string" },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`"${positionals[0]}" is not an option of cleanup`);
  // Loaded late: --help answers at once.
  const { start } = await import("./start.ts");
  return start(values, process.env, stop);
});
