#!/usr/bin/env node
/*
 * The program `cleanup`. What it does is declared in command.ts; the work is loaded only when a command runs.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { cleanupCommand } from "./command.ts";

await runCommandLine(cleanupCommand);
