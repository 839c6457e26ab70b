import { VERSION } from "../runtime/version.ts";

/** What `cleanup --help` prints. */
export const HELP = `apitoken cleanup ${VERSION}

Deletes rows that are dead and past their retention, in short transactions: API tokens, and those of any table that a
configuration file names. Live rows are never touched.

Usage: cleanup [command] [options]

  (no command)         run once; for a CronJob
  validate             hold the configuration against the database, say what a run would do, write nothing
  stats                what the tables look like, the owners with the most rows, growth since the last runs
  demo-table NAME      make and fill a table to try things on (--rows N, --dead SHARE, --partitioned)

  -c, --config FILE         YAML with the tables to clean (docs/cleanup.md)
      --dry-run             count what a run would delete, and write nothing
  -o, --output FORMAT       text (for a person) or json (one object on standard output)      [text]
      --max-fraction F      refuse a run that would delete more than this part of a table of
                            over 1,000 rows, before anything is deleted                      [0.9]
      --max-duration D      stop cleanly after this long, such as 30m                        [no limit]
      --max-rows N          stop cleanly after so many rows                                  [no limit]
      --schedule CRON       keep running, and clean at these times; a missed time is not made up for
      --timezone ZONE       of the schedule                                                  [UTC]
      --version             print the version
  -h, --help                print this

Settings are environment variables; only DATABASE_URL has no default. Retentions are days (7d) or durations (168h):

  DATABASE_URL                         postgres://user:password@host:5432/database; the login must be a
                                       member of the role apitoken_cleanup
  APITOKEN_DATABASE_PASSWORD_FILE      a file with the password, read anew for each connection
  APITOKEN_CLEANUP_CONFIG              the same as --config
  APITOKEN_CLEANUP_RETENTION_EXPIRED   how long expired tokens are kept                      [7d]
  APITOKEN_CLEANUP_RETENTION_REVOKED   how long revoked tokens are kept                      [7d]
  APITOKEN_CLEANUP_AUDIT               record of deleted tokens: rows, summary or none       [rows]
  APITOKEN_CLEANUP_AUDIT_RETENTION     how long the audit trail is kept                      [400d]
  APITOKEN_CLEANUP_BATCH_TARGET        how long one transaction should take                  [100ms]
  APITOKEN_CLEANUP_LOCK_TIMEOUT        how long to wait for a lock of a table                [2s]
  APITOKEN_CLEANUP_STATEMENT_TIMEOUT   the longest that a statement may take                 [5m]
  APITOKEN_CLEANUP_MAX_REPLICA_LAG     pause while a replica is further behind               [10s]
  APITOKEN_CLEANUP_MAX_WAITERS         pause while more sessions wait for the run's locks    [0]
  APITOKEN_CLEANUP_MAX_WAL_RATE        pause while the server writes more a second (64MiB)   [no limit]
  APITOKEN_CLEANUP_BUSY_SHARE          work this part of the time while others write         [0.1]
  APITOKEN_CLEANUP_PUSHGATEWAY_URL     push the run's figures there
  APITOKEN_CLEANUP_TEXTFILE            write them to this file (node_exporter's collector)
  APITOKEN_LOG_LEVEL                   debug, info, warn or error                            [info]

Examples:

  DATABASE_URL=postgres://cleanup:secret@db/tokens cleanup --dry-run
  DATABASE_URL=postgres://cleanup:secret@db/tokens cleanup --config tables.yaml --max-duration 30m

Exit codes: 0 done, or another run is at work; 1 failed; 2 bad configuration; 3 refused by the safety cap;
4 stopped by a deadline, a signal or --max-rows with work left.
`;
