/*
 * What the executables do: the plugin itself or, as kubectl's own `__complete`, its completion.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { kubectlCommand } from "./command.ts";

/** The word with which a shell asks for completions, as in kubectl itself. */
const COMPLETE = "__complete";

/** Runs the plugin on the process' arguments. */
export async function startPlugin(): Promise<void> {
  // The reader of a pipe, such as head, may have had enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const [, , first, ...rest] = process.argv;
  if (first !== COMPLETE) return runCommandLine(kubectlCommand);
  const { printCompletions } = await import("./completion/print.ts");
  return printCompletions(rest);
}
