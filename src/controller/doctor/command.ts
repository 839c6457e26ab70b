/*
 * The command line of `controller doctor`.
 */
import { COLOR_OPTION, defineCommand, OUTPUT_OPTION } from "../../runtime/command/declare.ts";

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "compare cluster and database, and fix what differs",
  description: `Compares the cluster with the database and reports each difference with its remedy. Changes nothing without --fix.

    On a terminal the report is a table, elsewhere one line per difference.`,
  options: {
    fix: {
      help: "fix what can be fixed automatically, then compare again. While a controller leads, it fixes nothing: the leader does that in its next passes",
    },
    output: OUTPUT_OPTION,
    color: COLOR_OPTION,
  },
  settings: 'The settings are those of the controller: see "controller --help".',
  examples: ["controller doctor", "controller doctor --fix -o json"],
  exitCodes: { done: "no differences, or none left", differences: "differences were found, or some are left" },
  run: async (context) => (await import("./run.ts")).runDoctor(context),
});
