/*
 * The wording of every fault that a command line can have, in one place: all programs report the same fault in the same
 * words.
 */
import { joinWords } from "../text.ts";

const guess = (near: string | undefined) => (near === undefined ? "" : ` (did you mean ${near}?)`);

/** The message of each fault. Options are given with their dashes, as they were typed. */
export const usageFault = {
  missingCommand: (names: readonly string[]) => `missing command: ${joinWords(names, "or")}`,
  unknownCommand: (name: string, near: string | undefined, names: readonly string[]) =>
    `unknown command "${name}"${guess(near)}; the commands are ${joinWords(names, "and")}`,
  missingArgument: (name: string) => `missing argument ${name}`,
  unexpectedArgument: (argument: string, command: string) => `unexpected argument "${argument}" after ${command}`,
  unknownOption: (option: string, near: string | undefined) => `unknown option ${option}${guess(near)}`,
  validOnlyWith: (option: string, commands: readonly string[]) =>
    commands.length === 0
      ? `${option} is valid only without a command`
      : `${option} is valid only with ${joinWords(commands, "or")}`,
  givenTwice: (option: string) => `${option} is given more than once`,
  needsValue: (option: string) => `${option} needs a value`,
  takesNoValue: (option: string) => `${option} takes no value`,
  badValue: (option: string, value: string, rule: string) => `${option} is ${JSON.stringify(value)}: ${rule}`,
  needsOption: (option: string, other: string) => `${option} needs ${other}`,
} as const;
