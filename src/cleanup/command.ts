/*
 * The command line of `cleanup`. Without a command the program runs once, because that is what a CronJob's container does.
 */
import { type CommandContext, defineCommand } from "../runtime/command/declare.ts";
import { databaseEnvironment } from "../runtime/config.ts";
import {
  DEMO_OPTIONS,
  EXPLAIN_OPTIONS,
  PRESETS_OPTIONS,
  RUN_OPTIONS,
  type RunOptions,
  STATS_OPTIONS,
  SUGGEST_OPTIONS,
  VALIDATE_OPTIONS,
} from "./options.ts";
import { cleanupEnvironment } from "./settings.ts";

const SEE_SETTINGS = 'The settings are those of the program: see "cleanup --help".';

/** What the program and its command `run` have in common: they are the same. */
const RUN = {
  options: RUN_OPTIONS,
  exitCodes: {
    done: "done, or another run is in progress",
    failed: "failed, or could not clean one of the tables; the others are cleaned",
    refused:
      "a table was refused by the safety cap (--max-fraction) or as odd before its first run; the others are cleaned",
    stopped: "stopped with work left, by --max-duration, --max-rows, a signal or locked rows",
  },
  run: async (context: CommandContext<RunOptions>) => (await import("./run.ts")).runCleanupCommand(context),
} as const;

const runCommand = defineCommand({
  ...RUN,
  name: "run",
  summary: "delete what is due, once or on a schedule; the default",
  description: `Deletes the rows that are past their retention. This is also what the program does without a command.

    On a terminal it shows its progress; elsewhere it logs JSON lines to standard error.`,
  settings: SEE_SETTINGS,
  examples: ["cleanup run --dry-run", "cleanup run --config tables.yaml --max-duration 30m"],
});

const validateCommand = defineCommand({
  name: "validate",
  summary: "check the configuration against the database",
  description: `Checks the configuration against the database, and reports what a run would do now. Writes nothing.

    For each table it shows how many rows are live, dead and due, three of those that would go first, and what is
    wrong, with the command that repairs it. Look the three rows up in your application: they should be dead there, too.

    Before the first run of a table, whatever looks odd is an error. If it is right, add the line "confirm: ..." that
    is printed below it to the configuration.`,
  options: VALIDATE_OPTIONS,
  settings: SEE_SETTINGS,
  examples: ["cleanup validate --config tables.yaml", "cleanup validate --config tables.yaml --output json"],
  exitCodes: {
    done: "a run would start, and clean every table",
    failed: "failed, or the server's state keeps runs from starting",
    badUsage: "a table has an error: a run would not clean it",
  },
  run: async (context) => (await import("./validate.ts")).runValidate(context),
});

const explainCommand = defineCommand({
  name: "explain",
  summary: "say of one row what it is, by which rule, and when it goes",
  description: `Says of one row whether it is live, expired, revoked, due or held, by which columns and values of the
    configuration's rule, and when a run would delete it. If there is no such row, it says what the audit trail knows.
    Writes nothing.

    Of the row it shows only the columns that the rule names. The key itself is asked for, not its hash: the trail of
    a table whose keys may be secrets is searched for the hash.`,
  options: EXPLAIN_OPTIONS,
  settings: SEE_SETTINGS,
  examples: [
    "cleanup explain --config tables.yaml --table app.sessions --key 4711",
    "cleanup explain --table apitoken.tokens --key Ab3dEf6hIj9k",
  ],
  exitCodes: { done: "explained", failed: "failed, or neither table nor audit trail knows the key" },
  run: async (context) => (await import("./explain.ts")).runExplain(context),
});

const suggestCommand = defineCommand({
  name: "suggest",
  summary: "propose targets for tables that look like tokens or sessions",
  description: `Looks at the catalog, and prints a configuration file with targets for tables that look like tokens or
    sessions by their names, with the reasons as comments. What is not ready, because a right is missing or a guess is
    unsafe, is commented out. Writes and deletes nothing, and ends after about a minute.

    It sees the tables that the role apitoken_cleanup or the login may read. Of a table with numbers as times it looks
    at up to 1,000 rows to find the unit.

    Look at each line with CHECK before you use it, and then run "cleanup validate".`,
  options: SUGGEST_OPTIONS,
  settings: SEE_SETTINGS,
  examples: ["cleanup suggest > tables.yaml", "cleanup validate --config tables.yaml"],
  run: async (context) => (await import("./suggest.ts")).runSuggest(context),
});

const statsCommand = defineCommand({
  name: "stats",
  summary: "report sizes, growth and the owners with the most rows",
  description: `Reports the size of each table, the owners with the most rows, and growth since the last runs. Writes
    nothing.`,
  options: STATS_OPTIONS,
  settings: SEE_SETTINGS,
  examples: ["cleanup stats --config tables.yaml"],
  run: async (context) => (await import("./stats.ts")).runStats(context),
});

const presetsCommand = defineCommand({
  name: "presets",
  summary: "list the ready targets for well-known systems",
  description: `Lists the systems whose tables "preset: NAME" in the configuration file describes. With NAME it prints the
    targets that the preset expands to, ready to be copied. Needs no database.`,
  argument: { name: "NAME", help: "the preset to print", isOptional: true },
  options: PRESETS_OPTIONS,
  examples: ["cleanup presets", "cleanup presets keycloak"],
  run: async (context) => (await import("./presets.ts")).runPresets(context),
});

const demoTableCommand = defineCommand({
  name: "demo-table",
  summary: "create and fill a table for trials",
  description: `Creates a table with live and dead rows for trying the cleanup out, and prints its configuration.

    Uses the login's own rights, which must include creating tables.`,
  argument: { name: "TABLE", help: "the new table, as schema.table; the schema is created if it does not exist" },
  options: DEMO_OPTIONS,
  settings: databaseEnvironment,
  examples: ["cleanup demo-table app.demo --rows 1000000"],
  run: async (context) => (await import("./demo-table.ts")).runDemoTable(context),
});

export const cleanupCommand = defineCommand({
  ...RUN,
  name: "cleanup",
  summary: "delete dead rows that are past their retention",
  description: `Deletes dead rows that are past their retention, in short transactions: API tokens, and the rows of any
    table that a configuration file names. Live rows are never touched.

    The database login must be a member of the role apitoken_cleanup.`,
  commands: [
    runCommand,
    suggestCommand,
    presetsCommand,
    validateCommand,
    explainCommand,
    statsCommand,
    demoTableCommand,
  ],
  settings: cleanupEnvironment,
  examples: ["DATABASE_URL=postgres://cleanup:secret@db/tokens cleanup --dry-run"],
});
