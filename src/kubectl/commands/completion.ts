/*
 * The command about the command line.
 */
import { defineCommand } from "../../runtime/command/declare.ts";

export const completionCommand = defineCommand({
  name: "completion",
  summary: "print the executable by which kubectl completes this plugin",
  description: `Prints an executable: save it as kubectl_complete-apitoken in a folder of the PATH, and kubectl completes this plugin by
    it. The npm package has one already. kubectl's own completion must be turned on: see "kubectl completion --help".`,
  examples: [
    "kubectl apitoken completion > ~/bin/kubectl_complete-apitoken",
    "chmod +x ~/bin/kubectl_complete-apitoken",
  ],
  run: async (context) => (await import("../completion/install.ts")).runCompletion(context),
});
