/*
 * Every command of every program answers in the same form, with the same exit code. All of them are tried in this
 * process, and each program as a process without an environment.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Command } from "../../../src/runtime/command/declare.ts";
import { formatHelp } from "../../../src/runtime/command/help.ts";
import { findCall } from "../../../src/runtime/command/parse.ts";
import { folderOf, listCommands, PROGRAMS } from "./programs.ts";

const entries = PROGRAMS.flatMap((program) => listCommands(program));

/** The sections of a help text, in the only order that they may have. */
const SECTIONS = ["Usage:", "Commands:", "Arguments:", "Options:", "Settings (", "Examples:", "Exit codes:"];

describe.each(entries)("$line", ({ line, program, command, path }) => {
  const ask = (...args: string[]) => findCall(program, [...path.slice(1), ...args]);

  test("its help has the form of all", () => {
    const help = formatHelp(path, command, 80);
    expect(help.startsWith(`Usage: ${line} `)).toBe(true);
    const places = SECTIONS.map((section) => help.search(new RegExp(`^${section.replace("(", "\\(")}`, "m")));
    const found = places.filter((place) => place >= 0);
    expect(found).toEqual([...found].sort((a, b) => a - b));
    for (const section of ["Options:", "Exit codes:"]) expect(help).toContain(`\n\n${section}\n`);
    for (const text of ["-h, --help  ", "    --version  ", "\n  0  ", "\n  1  ", "\n  2  "])
      expect(help).toContain(text);
    for (const row of help.split("\n")) expect(row.length, row).toBeLessThanOrEqual(80);
    expect(help).not.toMatch(/ $/m);
  });

  test("its texts are written in the form of all", () => {
    expect(command.summary).toMatch(/^[a-z].*[^.]$/);
    expect(command.description.trim()).toMatch(/^[A-Z].*\.$/s);
    for (const { help } of Object.values(command.options ?? {})) expect(help).toMatch(/^[a-z-].*[^.]$/);
    const settings = typeof command.settings === "object" ? Object.entries(command.settings.shape) : [];
    for (const [name, { description = "" }] of settings) expect(description, name).toMatch(/^[a-z].*[^.]$/);
    for (const meaning of Object.values(command.exitCodes ?? {})) expect(meaning).toMatch(/^[a-z].*[^.]$/);
  });

  test.each([[["-h"]], [["--help"]], [["--help", "--unknown"]], [["stray", "--help"]], [["--version", "-h"]]])(
    "%j asks for its help",
    (args) => {
      expect(ask(...args)).toMatchObject({ kind: "help", path });
    },
  );

  test("--version asks for the version", () => {
    expect(ask("--version", "--unknown")).toMatchObject({ kind: "version" });
  });

  test("an unknown option is refused, and the nearest one is suggested", () => {
    expect(ask("--versoin")).toMatchObject({
      kind: "faults",
      path,
      faults: ["unknown option --versoin (did you mean --version?)"],
    });
    for (const name of Object.keys(command.options ?? {})) {
      const swapped = `--${name.slice(0, -2)}${name.at(-1)}${name.at(-2)}`;
      if (swapped === `--${name}`) continue;
      expect(ask(swapped)).toMatchObject({ faults: [`unknown option ${swapped} (did you mean --${name}?)`] });
    }
  });

  test("a stray argument is refused", () => {
    const args = command.argument === undefined ? ["stray"] : ["one", "stray"];
    const place = path.length === 1 ? line : path.slice(1).join(" ");
    const fault =
      command.commands === undefined ? `unexpected argument "stray" after ${place}` : /^unknown command "stray"/;
    const expected = typeof fault === "string" ? fault : expect.stringMatching(fault);
    expect(ask(...args)).toMatchObject({ kind: "faults", faults: [expected] });
  });

  test("its options have defaults that their schemas accept", () => {
    for (const option of Object.values(command.options ?? {})) {
      if (option.schema === undefined || option.default === undefined) continue;
      expect(option.schema.safeParse(option.default).success, option.default).toBe(true);
    }
  });
});

test.each(PROGRAMS)("every option of $name means the same in all its commands", (program) => {
  const kinds = new Map<string, string>();
  for (const { command } of listCommands(program)) {
    for (const [name, { schema, short }] of Object.entries(command.options ?? {})) {
      const kind = `${schema === undefined ? "flag" : "value"} ${short}`;
      expect([kind, undefined]).toContain(kinds.get(name) ?? kind);
      kinds.set(name, kind);
    }
  }
});

/** The real program, without any environment. */
function run(program: Command, args: readonly string[]) {
  const path = fileURLToPath(new URL(`../../../src/${folderOf(program)}/main.ts`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], { encoding: "utf8", env: {} });
  return { status, stdout, stderr };
}

describe.each(PROGRAMS)("the program $name, without any setting", (program) => {
  test("prints its help", () => {
    expect(run(program, ["-h"])).toEqual({
      status: 0,
      stdout: formatHelp([program.name], program, 80),
      stderr: "",
    });
  });

  test("prints its version", () => {
    expect(run(program, ["--version"])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: "",
    });
  });

  test("refuses an unknown option", () => {
    expect(run(program, ["--hlep"])).toEqual({
      status: 2,
      stdout: "",
      stderr: `${program.name}: unknown option --hlep (did you mean --help?)\nError code: APITOKEN_E_USAGE (docs/errors.md)\nRun "${program.name} --help" for options and settings.\n`,
    });
  });
});
