#!/usr/bin/env node
/*
 * The program `controller`. What it does is declared in command.ts; the work is loaded only when a command runs.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { controllerCommand } from "./command.ts";

await runCommandLine(controllerCommand);
