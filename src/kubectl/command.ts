/*
 * The command line of `kubectl apitoken`. A command's work is loaded when the command runs, so that completion and --help are
 * quick.
 */
import { defineCommand } from "../runtime/command/declare.ts";
import { canICommand, createCommand, revealCommand, revokeCommand, rotateCommand } from "./commands/change.ts";
import { completionCommand } from "./commands/completion.ts";
import { checkCommand, doctorCommand, reportCommand } from "./commands/health.ts";
import { explainCommand, listCommand, statusCommand, versionCommand } from "./commands/look.ts";
import { offboardCommand, ownerCommand, reviewCommand } from "./commands/people.ts";

export const kubectlCommand = defineCommand({
  name: "kubectl apitoken",
  summary: "create, look at, rotate and revoke API tokens",
  description: `Works with the ApiTokens of a cluster through the Kubernetes API alone, with your rights. It reads the resources'
    status; of all commands only reveal reads a Secret.

    Wherever a NAME is taken, the id of a token is accepted as well. Data goes to standard output, progress to standard error.`,
  commands: [
    ...[statusCommand, listCommand, createCommand, rotateCommand, revokeCommand, revealCommand, canICommand],
    ...[ownerCommand, offboardCommand, reviewCommand],
    ...[checkCommand, doctorCommand, reportCommand, explainCommand, completionCommand, versionCommand],
  ],
  examples: ["kubectl apitoken status", "kubectl apitoken status orders -n shop"],
});
