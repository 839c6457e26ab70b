#!/usr/bin/env node
/*
 * The program `migrate`.
 */
import { runCommandLine } from "../runtime/command/run.ts";
import { migrateCommand } from "./command.ts";

await runCommandLine(migrateCommand);
