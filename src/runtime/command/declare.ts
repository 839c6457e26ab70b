/*
 * How a program declares its command line. A declaration holds no work: a command's code is imported when the command
 * runs, so that `--help` is quick and needs no settings. Parsing, faults and help texts are derived from it, which is why
 * they are the same in all programs.
 */
import type { z } from "zod";
import { oneOf } from "../config.ts";
import type { ExitName } from "../exit-codes.ts";

interface OptionBase {
  /** One letter: "o" for `-o`. */
  readonly short?: string;
  /** What the option does, for the help: no capital, no full stop. */
  readonly help: string;
  /** The option, without its dashes, that must be given too. */
  readonly needs?: string;
}

/** An option without a value: false unless given. */
export interface FlagDeclaration extends OptionBase {
  readonly schema?: never;
}

/** An option with a value. */
export interface ValueDeclaration extends OptionBase {
  /** Reads the value, a string. Its messages continue `--name is "value": `. */
  readonly schema: z.ZodType;
  /** What stands for the value in the help, in capitals: "DURATION". */
  readonly valueName: string;
  /** Taken when the option is not given, as it would be typed. Without it, the value is undefined. */
  readonly default?: string;
}

export type OptionDeclaration = FlagDeclaration | ValueDeclaration;
export type OptionDeclarations = Readonly<Record<string, OptionDeclaration>>;

type OptionValue<Declaration> = Declaration extends { readonly schema: infer Schema extends z.ZodType }
  ? Declaration extends { readonly default: string }
    ? z.output<Schema>
    : z.output<Schema> | undefined
  : boolean;

/** The options as a command receives them: each by its name, read and checked. */
export type OptionValues<Declarations extends OptionDeclarations> = {
  readonly [Name in keyof Declarations]: OptionValue<Declarations[Name]>;
};

/** What a command works with. */
export interface CommandContext<Options = Readonly<Record<string, unknown>>> {
  readonly options: Options;
  /** The argument; empty if the command declares none, or if it is not given. */
  readonly argument: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Aborted by SIGTERM and SIGINT. */
  readonly stop: AbortSignal;
}

/** A program, or one of its commands. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands: no capital, no full stop. */
  readonly summary: string;
  /** Whole sentences; blank lines separate paragraphs. */
  readonly description: string;
  readonly options?: OptionDeclarations;
  /** The one argument, which must be given unless it is optional. */
  readonly argument?: { readonly name: string; readonly help: string; readonly isOptional?: boolean };
  readonly commands?: readonly Command[];
  /** The environment variables that the command reads, each with a description; or where they are described. */
  readonly settings?: z.ZodObject | string;
  readonly examples?: readonly string[];
  /** What the exit codes mean for this command, where that is more than the code's name says. */
  readonly exitCodes?: Readonly<Partial<Record<ExitName, string>>>;
  /** Does the work and returns the exit code. Without it, one of `commands` must be named. */
  readonly run?: (context: CommandContext) => Promise<number>;
}

/** Declares a command; `run` receives its options with their types. */
export function defineCommand<const Options extends OptionDeclarations = Readonly<Record<never, never>>>(
  command: Omit<Command, "options" | "run"> & {
    readonly options?: Options;
    readonly run?: (context: CommandContext<OptionValues<Options>>) => Promise<number>;
  },
): Command {
  return command as Command;
}

/** Options that mean the same wherever they exist. */
export const OUTPUT_OPTION = {
  short: "o",
  schema: oneOf(["text", "json"]),
  valueName: "FORMAT",
  default: "text",
  help: "text for people, or json for programs",
} as const satisfies ValueDeclaration;

/** Its value is what `isColoured` of terminal.ts takes: undefined leaves the choice to the environment and the terminal. */
export const COLOR_OPTION = {
  schema: oneOf(["auto", "always", "never"]).transform((when) => (when === "auto" ? undefined : when === "always")),
  valueName: "WHEN",
  default: "auto",
  help: "use colours: auto (on a terminal), always or never",
} as const satisfies ValueDeclaration;

/** What every command answers, whatever else is on the command line. */
export const COMMON_OPTIONS = {
  help: { short: "h", help: "print this help" },
  version: { help: "print the version" },
} as const satisfies OptionDeclarations;
