/*
 * `completion`: the executable by which kubectl completes the plugin, for installations that have only the plugin itself.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { note, print } from "../client/output.ts";

const SCRIPT = `#!/bin/sh
# kubectl runs this file, kubectl_complete-apitoken, to complete "kubectl apitoken".
exec kubectl-apitoken __complete "$@"
`;

/** `kubectl apitoken completion`; returns its exit code. */
export async function runCompletion(_context: CommandContext): Promise<number> {
  if (process.stdout.isTTY) {
    note(
      "Write this into an executable file kubectl_complete-apitoken in a folder of your PATH, and turn on kubectl's own",
    );
    note('completion: "kubectl completion --help".');
  }
  print(SCRIPT);
  return EXIT.done;
}
