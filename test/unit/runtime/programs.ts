/*
 * Every program and command, for the tests that hold all of them to the same form.
 */
import { cleanupCommand } from "../../../src/cleanup/command.ts";
import { controllerCommand } from "../../../src/controller/command.ts";
import { kubectlCommand } from "../../../src/kubectl/command.ts";
import { migrateCommand } from "../../../src/migrate/command.ts";
import type { Command } from "../../../src/runtime/command/declare.ts";
import { verifierCommand } from "../../../src/verifier/command.ts";

/** Each program by its folder in src. */
const FOLDERS: Readonly<Record<string, Command>> = {
  controller: controllerCommand,
  cleanup: cleanupCommand,
  migrate: migrateCommand,
  verifier: verifierCommand,
  kubectl: kubectlCommand,
};

export const PROGRAMS: readonly Command[] = Object.values(FOLDERS);

/** The folder of a program in src. */
export function folderOf(program: Command): string {
  return Object.keys(FOLDERS).find((folder) => FOLDERS[folder] === program) ?? "";
}

export interface Entry {
  /** As it is typed. */
  readonly line: string;
  readonly program: Command;
  readonly command: Command;
  readonly path: readonly string[];
}

/** The program itself, its commands, and theirs. */
export function listCommands(program: Command, command = program, path: readonly string[] = [program.name]): Entry[] {
  const children = command.commands ?? [];
  return [
    { line: path.join(" "), program, command, path },
    ...children.flatMap((child) => listCommands(program, child, [...path, child.name])),
  ];
}
