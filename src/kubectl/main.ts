#!/usr/bin/env node
/*
 * The program `kubectl-apitoken`, which kubectl runs as `kubectl apitoken`.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { kubectlCommand } from "./command.ts";

// The reader of a pipe, such as head, may have had enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

await runCommandLine(kubectlCommand);
