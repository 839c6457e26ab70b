#!/usr/bin/env node
/*
 * The program `verifier`. What it does is declared in command.ts; the work is loaded only when it runs.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { verifierCommand } from "./command.ts";

await runCommandLine(verifierCommand);
