import { expect, test } from "vitest";
import { COLOR_OPTION, defineCommand, OUTPUT_OPTION } from "../../../../src/runtime/command/declare.ts";
import { findCall } from "../../../../src/runtime/command/parse.ts";
import { durationBetween, oneOf } from "../../../../src/runtime/config.ts";

const done = () => Promise.resolve(0);
const common = { summary: "a summary", description: "A description." };

const run = defineCommand({
  ...common,
  name: "run",
  options: {
    "dry-run": { short: "n", help: "write nothing" },
    verbose: { help: "write more" },
    within: { schema: durationBetween(1_000, 60_000), valueName: "DURATION", default: "5s", help: "take no longer" },
    schedule: { schema: oneOf(["daily", "weekly"]), valueName: "WHEN", help: "keep running" },
    timezone: { schema: oneOf(["UTC"]), valueName: "ZONE", needs: "schedule", help: "time zone of --schedule" },
    output: OUTPUT_OPTION,
    color: COLOR_OPTION,
  },
  run: done,
});
const remove = defineCommand({ ...common, name: "remove", argument: { name: "ID", help: "which key" }, run: done });
const status = defineCommand({ ...common, name: "status", options: { output: OUTPUT_OPTION }, run: done });
const keys = defineCommand({ ...common, name: "keys", commands: [status, remove] });
const program = defineCommand({
  ...common,
  name: "program",
  options: { migrate: { help: "migrate first" } },
  commands: [run, keys],
  run: done,
});

/** What a command line means, as it is typed: `call("keys remove a")`. */
function call(line: string) {
  const found = findCall(program, line === "" ? [] : line.split(" "));
  return { ...found, command: found.path.join(" ") };
}

test.each([
  ["", "program", { migrate: false }, ""],
  ["--migrate", "program", { migrate: true }, ""],
  ["keys remove e-1", "program keys remove", {}, "e-1"],
  ["keys remove -- -e-1", "program keys remove", {}, "-e-1"],
  ["keys status", "program keys status", { output: "text" }, ""],
  ["keys status -o json", "program keys status", { output: "json" }, ""],
  ["keys status -ojson", "program keys status", { output: "json" }, ""],
  ["-o json keys status", "program keys status", { output: "json" }, ""],
  ["keys --output=json status", "program keys status", { output: "json" }, ""],
])("%j runs %s", (line, command, options, argument) => {
  expect(call(line)).toMatchObject({ kind: "run", command, options, argument });
});

test("options have their defaults, and are read by their schemas", () => {
  expect(call("run")).toMatchObject({
    options: {
      "dry-run": false,
      verbose: false,
      within: 5_000,
      schedule: undefined,
      timezone: undefined,
      output: "text",
      color: undefined,
    },
  });
  const line = "run -n --within 1m --schedule daily --timezone UTC --color never";
  expect(call(line)).toMatchObject({
    options: { "dry-run": true, within: 60_000, schedule: "daily", timezone: "UTC", color: false },
  });
});

test.each([
  ["now", 'unknown command "now"; the commands are run and keys'],
  ["key status", 'unknown command "key" (did you mean keys?); the commands are run and keys'],
  ["keys", "missing command: status or remove"],
  ["keys remove", "missing argument ID"],
  ["keys remove a b", 'unexpected argument "b" after keys remove'],
  ["run now", 'unexpected argument "now" after run'],
  ["run --verbos", "unknown option --verbos (did you mean --verbose?)"],
  ["run --verbos=yes", "unknown option --verbos (did you mean --verbose?)"],
  ["run -verbose", "unknown option -verbose (did you mean --verbose?)"],
  ["run -x", "unknown option -x"],
  ["run --constructor", "unknown option --constructor"],
  ["run --hlep", "unknown option --hlep (did you mean --help?)"],
  ["run --outptu json", "unknown option --outptu (did you mean --output?)"],
  ["--outptu json keys", "unknown option --outptu"],
  ["run --within", "--within needs a value"],
  ["run --within=", "--within needs a value"],
  ["run --within --verbose", "--within needs a value"],
  ["run --verbose=yes", "--verbose takes no value"],
  ["run --within 1h", '--within is "1h": must be from 1s to 1m'],
  ["run -o yaml", '-o is "yaml": must be text or json'],
  ["run --color=sometimes", '--color is "sometimes": must be auto, always or never'],
  ["run -o json --output text", "--output is given more than once"],
  ["run --timezone UTC", "--timezone needs --schedule"],
  ["keys status --dry-run", "--dry-run is valid only with run"],
  ["keys remove a -o json", "-o is valid only with run or keys status"],
  ["--dry-run", "--dry-run is valid only with run"],
  ["run --migrate", "--migrate is valid only without a command"],
])("%j is refused: %s", (line, fault) => {
  expect(call(line)).toMatchObject({ kind: "faults", faults: [fault] });
});

test("all faults are reported at once", () => {
  expect(call("run now --within 1h -o yaml")).toMatchObject({
    faults: [
      'unexpected argument "now" after run',
      '--within is "1h": must be from 1s to 1m',
      '-o is "yaml": must be text or json',
    ],
  });
});

test.each([
  ["-h", "program"],
  ["--help --version", "program"],
  ["keys -h", "program keys"],
  ["--help keys status", "program keys status"],
  ["keys polish --help", "program keys"],
  ["keys remove --help", "program keys remove"],
  ["run now --unknown --help", "program run"],
  ["run --within --help", "program run"],
  ["run -o -h", "program run"],
  ["run -nh", "program run"],
  ["run --help=yes", "program run"],
])("%j requests the help of %s, even if something else is wrong", (line, command) => {
  expect(call(line)).toMatchObject({ kind: "help", command });
});

test.each(["--version", "keys --version", "run --unknown --version", "run --within --version", "now --version"])(
  "%j asks for the version",
  (line) => {
    expect(call(line).kind).toBe("version");
  },
);

test("an argument after -- is not a request for help", () => {
  expect(call("keys remove -- --help")).toMatchObject({ kind: "run", argument: "--help" });
});

test("no command line makes it throw", () => {
  const words = [
    "--",
    "-",
    "",
    "=",
    "--=",
    "-=",
    "--within",
    "-o",
    "--__proto__",
    "__proto__",
    "run",
    "keys",
    "-h=",
    "--no-migrate",
  ];
  for (const first of words) {
    for (const second of words) {
      for (const third of words) expect(() => findCall(program, [first, second, third])).not.toThrow();
    }
  }
});
