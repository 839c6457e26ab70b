/*
 * `cleanup presets`: which systems have ready targets, and what these look like. It needs no database.
 */
import { stringify } from "yaml";
import type { CommandContext } from "../runtime/command/declare.ts";
import { ConfigError } from "../runtime/config.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { createPaint, formatTable, isColoured, type Paint } from "../runtime/terminal.ts";
import type { PresetsOptions } from "./options.ts";
import { expandPreset, findPreset, PRESETS, type Preset } from "./target/presets.ts";

/** `cleanup presets [NAME]`; returns the exit code. */
export async function runPresets(context: CommandContext<PresetsOptions>): Promise<number> {
  const { options, argument, environment } = context;
  const isJson = options.output === "json";
  if (argument === "") {
    const paint = createPaint(isColoured(process.stdout, environment, options.color));
    process.stdout.write(isJson ? `${JSON.stringify({ presets: PRESETS.map(describe) })}\n` : formatList(paint));
    return EXIT.done;
  }
  const preset = findPreset(argument);
  if (typeof preset === "string") throw new ConfigError(preset, { faultCode: "APITOKEN_E_USAGE" });
  process.stdout.write(isJson ? `${JSON.stringify(describe(preset))}\n` : formatPreset(preset));
  return EXIT.done;
}

function describe({ name, system, versions, schema, sources, note, parameters }: Preset) {
  const { targets } = expandPreset({ preset: name });
  const tables = [...new Set(targets.map(({ table }) => String(table)))];
  return { name, system, versions, schema, tables, parameters, sources, note, targets };
}

function formatList(paint: Paint): string {
  const rows = PRESETS.map((preset) => {
    const { name, system, versions, tables, sources } = describe(preset);
    return [{ text: name, style: "bold" as const }, system, versions, tables.join("\n"), sources[0] ?? ""];
  });
  const columns = [
    { title: "preset" },
    { title: "system", maxWidth: 28 },
    { title: "versions" },
    { title: "tables" },
    { title: "source" },
  ];
  return `${formatTable({ columns, rows }, paint).join("\n")}\n`;
}

/** A configuration file to copy, with comments that say what a team may have to change. */
function formatPreset(preset: Preset): string {
  const { name, system, versions, sources, note, parameters, targets } = describe(preset);
  const defaults = Object.entries(parameters).map(
    ([parameter, { help, default: value }]) => `  ${parameter}: ${value}, ${help}`,
  );
  const comments = [
    `${system} ${versions}: what "preset: ${name}" expands to.`,
    ...sources,
    ...(note === undefined ? [] : [note]),
    ...(defaults.length === 0
      ? []
      : [`Parameters, which "with" sets beside "preset", and their defaults:`, ...defaults]),
  ];
  return `${comments.map((line) => `# ${line}`).join("\n")}\n${stringify({ targets }, { lineWidth: 0 })}`;
}
