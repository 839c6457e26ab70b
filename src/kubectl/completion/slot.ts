/*
 * What is being typed: found from the declarations of the commands, so that a new option is completed without a line here.
 */
import type { Command, OptionDeclaration } from "../../runtime/command/declare.ts";
import { COMMON_OPTIONS } from "../../runtime/command/declare.ts";

export interface Candidate {
  readonly value: string;
  readonly help?: string;
}

/** The place on the command line that is completed. `given` are the options before it that choose cluster and namespace. */
export type Slot = { readonly prefix: string; readonly given: Readonly<Record<string, string>> } & (
  | { readonly kind: "fixed"; readonly candidates: readonly Candidate[] }
  | { readonly kind: "live"; readonly what: Live }
  | { readonly kind: "files" }
);

/** What only a cluster or a kubeconfig knows. */
export type Live = "names" | "owners" | "namespaces" | "contexts" | "reasons" | "categories";

/** What an argument names, by its name in the help. */
const ARGUMENTS: Readonly<Record<string, Live>> = {
  NAME: "names",
  OWNER: "owners",
  REASON: "reasons",
  CATEGORY: "categories",
};

/** What an option's value is. */
const VALUES: Readonly<Record<string, Live | "files">> = {
  namespace: "namespaces",
  context: "contexts",
  owner: "owners",
  kubeconfig: "files",
};

/** A command whose argument is a new name. */
const NEW_NAMES = ["create", "can-i"];

export function findSlot(program: Command, words: readonly string[]): Slot {
  const before = words.slice(0, -1);
  const prefix = words.at(-1) ?? "";
  const command = program.commands?.find(({ name }) => before.some((word) => word === name));
  const options = { ...(command?.options ?? {}), ...COMMON_OPTIONS };
  const given = readGiven(before, options);
  const last = before.at(-1) ?? "";
  const pending = last.startsWith("-") && !last.includes("=") ? findOption(options, last) : undefined;
  if (pending?.[1].schema !== undefined) return { ...completeValue(pending), prefix, given };
  if (prefix.startsWith("-")) return { kind: "fixed", candidates: listOptions(options), prefix, given };
  if (command === undefined) return { kind: "fixed", candidates: listCommands(program), prefix, given };
  const what = ARGUMENTS[command.argument?.name ?? ""];
  const isTaken = countWords(before, options) > 1;
  if (what === undefined || isTaken || NEW_NAMES.includes(command.name)) {
    return { kind: "fixed", candidates: [], prefix, given };
  }
  return { kind: "live", what, prefix, given };
}

type Options = Readonly<Record<string, OptionDeclaration>>;

function findOption(options: Options, word: string): [string, OptionDeclaration] | undefined {
  return Object.entries(options).find(([name, { short }]) => word === `--${name}` || word === `-${short}`);
}

/** The options that are given with a value before the place, by their long names. */
function readGiven(words: readonly string[], options: Options): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    const [name = "", ...rest] = word.split("=");
    const option = findOption(options, name);
    const value = rest.length > 0 ? rest.join("=") : words[index + 1];
    if (option?.[1].schema !== undefined && value !== undefined) given[option[0]] = value;
  }
  return given;
}

/** How many words are neither options nor their values: the command's name, and its argument. */
function countWords(words: readonly string[], options: Options): number {
  return words.filter((word, index) => {
    const previous = words[index - 1] ?? "";
    const isValue = previous.startsWith("-") && findOption(options, previous)?.[1].schema !== undefined;
    return !word.startsWith("-") && !isValue;
  }).length;
}

function completeValue([name, option]: [string, OptionDeclaration]) {
  const live = VALUES[name];
  if (live === "files") return { kind: "files" as const };
  if (live !== undefined) return { kind: "live" as const, what: live };
  return { kind: "fixed" as const, candidates: listWords(option) };
}

/** The words that the option's schema accepts, if it accepts only some. */
function listWords({ schema }: OptionDeclaration): Candidate[] {
  const words = (schema as { options?: unknown } | undefined)?.options;
  return Array.isArray(words) ? words.map((value) => ({ value: String(value) })) : [];
}

function listOptions(options: Options): Candidate[] {
  return Object.entries(options).map(([name, { help }]) => ({ value: `--${name}`, help }));
}

function listCommands({ commands = [] }: Command): Candidate[] {
  return commands.map(({ name, summary }) => ({ value: name, help: summary }));
}
