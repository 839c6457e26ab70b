/*
 * The options of the cleanup's commands. They are apart from command.ts, because the commands' code needs their types.
 */
import { z } from "zod";
import { COLOR_OPTION, type OptionDeclarations, type OptionValues, OUTPUT_OPTION } from "../runtime/command/declare.ts";
import { integerSetting } from "../runtime/config.ts";
import { fractionSetting, limitedDuration } from "./settings.ts";

export const DEFAULT_MAX_FRACTION = "0.9";

export const STATS_OPTIONS = {
  config: {
    short: "c",
    schema: z.string(),
    valueName: "FILE",
    help: "a YAML file with the tables to clean (docs/cleanup.md)",
  },
  output: OUTPUT_OPTION,
  color: COLOR_OPTION,
} as const satisfies OptionDeclarations;

export const VALIDATE_OPTIONS = {
  ...STATS_OPTIONS,
  "max-fraction": {
    schema: fractionSetting("0.9"),
    valueName: "FRACTION",
    default: DEFAULT_MAX_FRACTION,
    help: "refuse a table, before anything is deleted from it, that would delete a larger part of a table of 20 rows or more",
  },
} as const satisfies OptionDeclarations;

export const EXPLAIN_OPTIONS = {
  ...STATS_OPTIONS,
  table: {
    schema: z.string(),
    valueName: "TABLE",
    help: "the table, as schema.table, or the name of a target of the configuration",
  },
  key: {
    schema: z.string(),
    valueName: "KEY",
    help: "the row's key, as it is in the table; a key of several columns is a JSON array, such as '[4711, \"web\"]'",
  },
} as const satisfies OptionDeclarations;

export const SUGGEST_OPTIONS = { output: OUTPUT_OPTION } as const satisfies OptionDeclarations;

export const RUN_OPTIONS = {
  ...VALIDATE_OPTIONS,
  "dry-run": { help: "count what a run would delete, and write nothing" },
  "max-duration": {
    schema: limitedDuration(1, "must be from 1ms to 500h, such as 30m"),
    valueName: "DURATION",
    help: "stop cleanly after this long, such as 30m (default: no limit)",
  },
  "max-rows": {
    schema: integerSetting(1, Number.MAX_SAFE_INTEGER),
    valueName: "N",
    help: "stop cleanly after this many rows (default: no limit)",
  },
  schedule: {
    schema: z.string(),
    valueName: "CRON",
    help: "keep running, and clean at these times; missed runs are not caught up",
  },
  timezone: {
    schema: z.string(),
    valueName: "ZONE",
    default: "UTC",
    needs: "schedule",
    help: "time zone of --schedule",
  },
} as const satisfies OptionDeclarations;

export const DEMO_OPTIONS = {
  rows: {
    schema: integerSetting(1, 1_000_000_000),
    valueName: "N",
    default: "100000",
    help: "how many rows to insert",
  },
  dead: {
    schema: fractionSetting("0.5"),
    valueName: "SHARE",
    default: "0.5",
    help: "the share of the rows that are dead, from 0 to 1",
  },
  partitioned: { help: "partition the table by month" },
} as const satisfies OptionDeclarations;

export const PRESETS_OPTIONS = { output: OUTPUT_OPTION, color: COLOR_OPTION } as const satisfies OptionDeclarations;

export type PresetsOptions = OptionValues<typeof PRESETS_OPTIONS>;
export type StatsOptions = OptionValues<typeof STATS_OPTIONS>;
export type ValidateOptions = OptionValues<typeof VALIDATE_OPTIONS>;
export type ExplainOptions = OptionValues<typeof EXPLAIN_OPTIONS>;
export type SuggestOptions = OptionValues<typeof SUGGEST_OPTIONS>;
export type RunOptions = OptionValues<typeof RUN_OPTIONS>;
export type DemoOptions = OptionValues<typeof DEMO_OPTIONS>;
