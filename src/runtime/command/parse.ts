/*
 * Finds out what a command line asks for. It reports faults instead of throwing them, and all of them at once, because a
 * request for help must be answered however wrong the rest is.
 */
import { parseArgs } from "node:util";
import { findNear } from "../text.ts";
import { COMMON_OPTIONS, type Command, type CommandContext, type OptionDeclaration } from "./declare.ts";
import { usageFault } from "./faults.ts";

/** What is asked for. `path` are the names of the program and its command: ["controller", "keys", "rotate"]. */
export type Call = { readonly path: readonly string[]; readonly command: Command } & (
  | { readonly kind: "help" | "version" }
  | { readonly kind: "faults"; readonly faults: readonly string[] }
  | { readonly kind: "run"; readonly options: CommandContext["options"]; readonly argument: string }
);

/** An option as it was typed. */
interface GivenOption {
  readonly name: string;
  /** With its dashes. */
  readonly text: string;
  readonly value: string | undefined;
}

interface CommandLine {
  readonly options: readonly GivenOption[];
  readonly words: readonly string[];
}

/** What `args` (without the names of Node and of the script) ask `program` for. */
export function findCall(program: Command, args: readonly string[]): Call {
  const owners = listOwners(program, []);
  const line = splitArgs(args, owners);
  const { command, path, rest } = findCommand(program, line.words);
  const asked = Object.keys(COMMON_OPTIONS).find((name) => line.options.some((option) => option.name === name));
  if (asked !== undefined) return { kind: asked as keyof typeof COMMON_OPTIONS, path, command };

  const unknown = line.options.filter(({ name }) => !owners.has(name));
  if (unknown.length > 0) {
    // Nothing else is reported: a word that follows an unknown option may be its value.
    const known = [...Object.keys(command.options ?? {}), ...Object.keys(COMMON_OPTIONS)].map((name) => `--${name}`);
    const faults = unknown.map(({ text }) => usageFault.unknownOption(text, findNear(text, known)));
    return { kind: "faults", path, command, faults: [...new Set(faults)] };
  }
  const { values, faults: optionFaults } = readOptions(command, line.options, owners);
  const faults = [...findWordFaults(command, path, rest), ...optionFaults];
  if (faults.length > 0) return { kind: "faults", path, command, faults };
  return { kind: "run", path, command, options: values, argument: rest[0] ?? "" };
}

interface Owner {
  readonly option: OptionDeclaration;
  /** The commands that have it, by their names after the program's: "", "keys status". */
  readonly commands: readonly string[];
}

/** Every option of the program and its commands, by name. Options with the same name must be of the same kind. */
function listOwners(command: Command, path: readonly string[]): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const [name, option] of Object.entries({ ...command.options, ...COMMON_OPTIONS })) {
    owners.set(name, { option, commands: [path.join(" ")] });
  }
  for (const child of command.commands ?? []) {
    for (const [name, { option, commands }] of listOwners(child, [...path, child.name])) {
      owners.set(name, { option, commands: [...(owners.get(name)?.commands ?? []), ...commands] });
    }
  }
  return owners;
}

function splitArgs(args: readonly string[], owners: ReadonlyMap<string, Owner>): CommandLine {
  const declared = [...owners].map(([name, { option }]) => [
    name,
    {
      type: option.schema === undefined ? ("boolean" as const) : ("string" as const),
      ...(option.short === undefined ? {} : { short: option.short }),
    },
  ]);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(declared),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const options: GivenOption[] = [];
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue, index } = token;
    // `-verbose` is read as seven options: what is unknown is shown as it was typed.
    const text = owners.has(name) ? rawName : (args[index]?.split("=")[0] ?? rawName);
    // `--output --help` is an option that lacks its value, and a request for help.
    const isOption = inlineValue === false && /^-./.test(value ?? "");
    options.push({ name, text, value: isOption ? undefined : value });
    if (isOption) options.push(...splitArgs([value ?? ""], owners).options);
  }
  return { options, words };
}

/** The innermost command that the words name. `rest` are the words that follow its name. */
function findCommand(program: Command, words: readonly string[]) {
  let command = program;
  const path = [program.name];
  for (const [index, word] of words.entries()) {
    const next = command.commands?.find(({ name }) => name === word);
    if (next === undefined) return { command, path, rest: words.slice(index) };
    command = next;
    path.push(word);
  }
  return { command, path, rest: [] };
}

function findWordFaults(command: Command, path: readonly string[], rest: readonly string[]): string[] {
  const names = command.commands?.map(({ name }) => name) ?? [];
  const [word] = rest;
  if (names.length > 0 && word !== undefined) return [usageFault.unknownCommand(word, findNear(word, names), names)];
  if (command.run === undefined) return [usageFault.missingCommand(names)];
  const { argument } = command;
  if (argument !== undefined && !argument.isOptional && word === undefined) {
    return [usageFault.missingArgument(argument.name)];
  }
  const unexpected = rest[argument === undefined ? 0 : 1];
  if (unexpected === undefined) return [];
  return [usageFault.unexpectedArgument(unexpected, path.length === 1 ? path.join() : path.slice(1).join(" "))];
}

/** The values of all options that the command declares, and what is wrong with those given. */
function readOptions(command: Command, given: readonly GivenOption[], owners: ReadonlyMap<string, Owner>) {
  const declared = Object.entries(command.options ?? {});
  const faults: string[] = [];
  for (const { name, text } of given) {
    if (Object.hasOwn(command.options ?? {}, name)) continue;
    const others = owners.get(name)?.commands.filter((other) => other !== "") ?? [];
    faults.push(usageFault.validOnlyWith(text, others));
  }
  const values: Record<string, unknown> = {};
  for (const [name, option] of declared) {
    const own = given.filter((each) => each.name === name);
    const result = readOption(option, own);
    if ("fault" in result) faults.push(result.fault);
    else values[name] = result.value;
    const { needs } = option;
    if (own[0] !== undefined && needs !== undefined && !given.some((each) => each.name === needs)) {
      faults.push(usageFault.needsOption(own[0].text, `--${needs}`));
    }
  }
  return { values, faults };
}

/** One option's value, from each time that it was given. */
function readOption(option: OptionDeclaration, given: readonly GivenOption[]): { value: unknown } | { fault: string } {
  const [first, second] = given;
  if (second !== undefined) return { fault: usageFault.givenTwice(second.text) };
  if (option.schema === undefined) {
    if (first?.value !== undefined) return { fault: usageFault.takesNoValue(first.text) };
    return { value: first !== undefined };
  }
  if (first === undefined) {
    return { value: option.default === undefined ? undefined : option.schema.parse(option.default) };
  }
  if (first.value === undefined || first.value === "") return { fault: usageFault.needsValue(first.text) };
  const result = option.schema.safeParse(first.value);
  if (result.success) return { value: result.data };
  return { fault: usageFault.badValue(first.text, first.value, result.error.issues[0]?.message ?? "") };
}
