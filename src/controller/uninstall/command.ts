/*
 * The command line of `controller uninstall`.
 */
import { defineCommand } from "../../runtime/command/declare.ts";

export const uninstallCommand = defineCommand({
  name: "uninstall",
  summary: "release every ApiToken before you remove the operator",
  description: `Releases every ApiToken before you remove the operator: removes the finalizer, so that none gets stuck while being
    deleted. Scale the controller to zero first.

    Tokens and Secrets stay as they are, except those of ApiTokens that are already being deleted: these tokens are
    revoked, and their Secrets deleted.`,
  options: {
    revoke: { help: "revoke every live token of this cluster first" },
  },
  settings: 'The settings are those of the controller: see "controller --help".',
  examples: ["controller uninstall --revoke"],
  exitCodes: {
    done: "every ApiToken is released",
    failed: "failed: a controller leads, or some ApiTokens still have the finalizer",
  },
  run: async (context) => (await import("./run.ts")).runUninstall(context),
});
