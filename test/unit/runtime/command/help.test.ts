import { expect, test } from "vitest";
import { z } from "zod";
import { defineCommand, OUTPUT_OPTION } from "../../../../src/runtime/command/declare.ts";
import { formatHelp } from "../../../../src/runtime/command/help.ts";
import { durationSetting } from "../../../../src/runtime/config.ts";

const keys = defineCommand({
  name: "keys",
  summary: "show and change the keys",
  description: "",
  options: {},
  commands: [],
});
const program = defineCommand({
  name: "program",
  summary: "",
  description: `Does its work, and explains it in a sentence that is longer than a
    line of a terminal.

    A second paragraph.`,
  options: {
    migrate: { help: "update the schema first" },
    within: { schema: durationSetting, valueName: "DURATION", default: "5s", help: "take no longer than this" },
    output: OUTPUT_OPTION,
  },
  argument: { name: "ID", help: "which key" },
  commands: [keys],
  settings: z.object({
    DATABASE_URL: z.string().describe("where the database is"),
    LOG_LEVEL: z.enum(["debug", "info"]).default("info").describe("how much to log"),
    PATIENCE: durationSetting.prefault("2s").describe("how long to wait for a server that does not answer yet"),
    PLACES: z.string().transform(Number).default(3).describe("how many places"),
    NAME: z.string().optional().describe("a name for this replica"),
  }),
  examples: ["program --migrate e-1"],
  exitCodes: { done: "everything is equal", differences: "differences were found" },
  run: () => Promise.resolve(0),
});

test("help has one form", () => {
  expect(formatHelp(["program"], program, 72)).toBe(`Usage: program ID [options]
       program COMMAND [options]

Does its work, and explains it in a sentence that is longer than a line
of a terminal.

A second paragraph.

Commands:
  keys  show and change the keys

Arguments:
  ID  which key

Options:
      --migrate          update the schema first
      --within DURATION  take no longer than this [5s]
  -o, --output FORMAT    text for people, or json for programs [text]
  -h, --help             print this help
      --version          print the version

Settings (environment variables):
  DATABASE_URL  where the database is [required]
  LOG_LEVEL     how much to log [info]
  PATIENCE      how long to wait for a server that does not answer yet
                [2s]
  PLACES        how many places
  NAME          a name for this replica

Examples:
  program --migrate e-1

Exit codes:
  0  everything is equal
  1  failed
  2  bad usage or configuration
  5  differences were found

Run "program COMMAND --help" for the help of a command.
`);
});

test("on a narrow terminal the texts are below their labels", () => {
  const help = formatHelp(["program"], program, 40);
  expect(help).toContain(`
  PATIENCE
      how long to wait for a server that
      does not answer yet [2s]
`);
  for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(40);
});
