/*
 * The command line of `controller`: the controller itself, and the commands for the people who operate it. They are one
 * program because they share its settings and its code, so that all of them agree on what is right.
 */
import { defineCommand } from "../runtime/command/declare.ts";
import { controllerEnvironment } from "./config.ts";
import { doctorCommand } from "./doctor/command.ts";
import { keysCommand } from "./keyring/command.ts";
import { uninstallCommand } from "./uninstall/command.ts";

export const controllerCommand = defineCommand({
  name: "controller",
  summary: "issue, rotate and revoke the API tokens of a cluster",
  description: `Issues, rotates and revokes the API tokens of a cluster. For each ApiToken it keeps a row in Postgres, with a hash
    of the token, and a Secret, with the token.

    The database login must be a member of the role apitoken_controller.`,
  options: {
    migrate: { help: "update the database's schema first; concurrent starts wait for each other" },
  },
  commands: [keysCommand, doctorCommand, uninstallCommand],
  settings: controllerEnvironment,
  examples: ["DATABASE_URL=postgres://controller:secret@db:5432/tokens controller --migrate"],
  exitCodes: { done: "stopped by SIGTERM or SIGINT", failed: "failed, or did not stop in time" },
  run: async (context) => (await import("./run.ts")).runController(context),
});
