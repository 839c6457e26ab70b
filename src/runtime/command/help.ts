/*
 * Writes the help of every command in the same form, from its declaration: usage, description, commands, options,
 * settings, examples, exit codes.
 */
import type { z } from "zod";
import { EXIT, type ExitName } from "../exit-codes.ts";
import { measureWidth, wrap } from "../text.ts";
import { COMMON_OPTIONS, type Command, type OptionDeclaration } from "./declare.ts";

type Row = readonly [label: string, text: string];

/** Below this width a text moves from its label's right to the lines below it. */
const LEAST_TEXT_WIDTH = 30;

/** The help of the command with this path, in lines of at most `width` columns. */
export function formatHelp(path: readonly string[], command: Command, width: number): string {
  const program = path.join(" ");
  const sections = [
    formatUsage(program, command),
    ...command.description.split(/\n\s*\n/).map((paragraph) => wrap(paragraph.trim().replaceAll(/\s+/g, " "), width)),
    formatRows(
      "Commands:",
      (command.commands ?? []).map(({ name, summary }): Row => [name, summary]),
      width,
    ),
    formatRows(
      "Arguments:",
      command.argument === undefined ? [] : [[command.argument.name, command.argument.help]],
      width,
    ),
    formatRows("Options:", Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(describeOption), width),
    formatSettings(command.settings, width),
    formatList("Examples:", command.examples ?? []),
    formatRows("Exit codes:", describeExitCodes(command.exitCodes), width),
    command.commands === undefined ? [] : wrap(`Run "${program} COMMAND --help" for the help of a command.`, width),
  ];
  const text = sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
  return `${text.join("\n\n")}\n`;
}

function formatUsage(program: string, { run, commands, argument }: Command): string[] {
  const named = argument?.isOptional ? `[${argument.name}]` : argument?.name;
  const forms = [
    ...(run === undefined ? [] : [`${program}${named === undefined ? "" : ` ${named}`} [options]`]),
    ...(commands === undefined ? [] : [`${program} COMMAND [options]`]),
  ];
  return forms.map((form, index) => `${index === 0 ? "Usage:" : "      "} ${form}`);
}

function describeOption([name, option]: [string, OptionDeclaration]): Row {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  if (option.schema === undefined) return [`${short}--${name}`, option.help];
  return [`${short}--${name} ${option.valueName}`, withDefault(option.help, option.default)];
}

function withDefault(help: string, text: string | undefined): string {
  return text === undefined ? help : `${help} [${text}]`;
}

function formatSettings(settings: Command["settings"], width: number): string[] {
  if (settings === undefined) return [];
  if (typeof settings === "string") return wrap(settings, width);
  const rows = Object.entries(settings.shape as Record<string, z.ZodType>).map(
    ([name, schema]): Row => [name, withDefault(schema.description ?? "", findDefault(schema))],
  );
  return formatRows("Settings (environment variables):", rows, width);
}

/** A setting's default as it would be typed; "required" if the program cannot do without the setting. */
function findDefault(schema: z.ZodType): string | undefined {
  const { defaultValue } = schema._zod.def as { defaultValue?: unknown };
  if (typeof defaultValue === "string") return defaultValue;
  return schema.safeParse(undefined).success ? undefined : "required";
}

function describeExitCodes(meanings: Command["exitCodes"]): Row[] {
  const all: Partial<Record<ExitName, string>> = {
    done: "done",
    failed: "failed",
    badUsage: "bad usage or configuration",
    ...meanings,
  };
  return Object.entries(all).map(([name, meaning]): Row => [String(EXIT[name as ExitName]), meaning]);
}

function formatList(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

/** Labels in one column, texts in another, wrapped; narrow terminals get the text below its label. */
function formatRows(title: string, rows: readonly Row[], width: number): string[] {
  if (rows.length === 0) return [];
  const column = Math.max(...rows.map(([label]) => measureWidth(label))) + 4;
  const isNarrow = width - column < LEAST_TEXT_WIDTH;
  const indent = " ".repeat(isNarrow ? 6 : column);
  const lines = rows.flatMap(([label, text]) => {
    const head = `  ${label}`;
    if (isNarrow) return [head, ...wrap(`${indent}${text}`, width, indent)];
    return wrap(text, width - column).map((line, index) => (index === 0 ? head.padEnd(column) : indent) + line);
  });
  return [title, ...lines];
}
