import { expect, test } from "vitest";
import { EXIT, type ExitName } from "../../../src/runtime/exit-codes.ts";
import { listCommands, PROGRAMS } from "../runtime/programs.ts";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

const rows = readTable(readProjectFile("docs/operations.md"), "## Exit codes");

test("docs/operations.md lists every exit code once", () => {
  expect(rows.map(([code]) => Number(code))).toEqual(Object.values(EXIT));
});

test.each(rows.filter(([, , commands]) => commands !== "all"))(
  "%s, %s, names its commands: %s",
  (code, _, commands) => {
    const returning = PROGRAMS.flatMap((program) => listCommands(program)).filter(({ command }) =>
      Object.keys(command.exitCodes ?? {}).some((name) => EXIT[name as ExitName] === Number(code)),
    );
    const isNamed = (line: string) => codeIn(commands).some((name) => line.startsWith(name));
    expect(returning.map(({ line }) => line).filter((line) => !isNamed(line))).toEqual([]);
  },
);
