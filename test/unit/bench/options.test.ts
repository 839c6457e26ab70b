import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readOptions } from "../../bench/options.ts";
import { formatRecord } from "../../bench/record.ts";
import { aRecord } from "./builders.ts";

const BENCHES = ["startup", "create"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apitoken-bench-options-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function aFile(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

test("what --json writes is what --compare reads, with the figures at the top level", () => {
  const record = aRecord({ startup_ms: 160, create_over_bare: 1.25 });
  const file = aFile("good.json", formatRecord(record));
  expect(readOptions(["--compare", file], BENCHES).before).toEqual({ file, record });
  expect(JSON.parse(formatRecord(record))).toMatchObject({ startup_ms: 160, create_over_bare: 1.25 });
});

test("one file may be compared with and then written over", () => {
  const file = aFile("same.json", formatRecord(aRecord({ startup_ms: 160 })));
  expect(readOptions(["--compare", file, "--json", file], BENCHES)).toMatchObject({ json: file, before: { file } });
});

const { date, machine } = aRecord({});

describe("before anything runs, there is an error for", () => {
  test.each<[string, () => string[], string | RegExp]>([
    ["an unknown option", () => ["--compere", "x"], "--compere"],
    ["an unknown bench", () => ["--only", "lunch"], 'there is no bench "lunch"; the benches are startup, create'],
    ["a file that is missing", () => ["--compare", join(folder, "missing.json")], /missing\.json does not exist$/],
    ["a folder in place of a file", () => ["--compare", folder], "cannot be read"],
    ["a file that is not JSON", () => ["--compare", aFile("text.json", "startup_ms: 160")], /text\.json is not JSON/],
    [
      "a file of other contents",
      () => ["--compare", aFile("other.json", '{"version": "0.1.0"}')],
      /other\.json was not written by --json: date: .*machine: .*version: /,
    ],
    ["a list", () => ["--compare", aFile("list.json", "[1]")], /list\.json was not written by --json/],
    [
      "a figure that is not a number",
      () => ["--compare", aFile("bad.json", JSON.stringify({ date, machine, startup_ms: "160" }))],
      /bad\.json was not written by --json: startup_ms: /,
    ],
    [
      "a file without figures",
      () => ["--compare", aFile("empty.json", JSON.stringify({ date, machine }))],
      "contains no figures",
    ],
    ["a result that cannot be written", () => ["--json", join(folder, "no/such/folder.json")], "cannot be written"],
    ["a result that is a folder", () => ["--json", folder], "is a folder"],
  ])("%s", (_, args, message) => {
    expect(() => readOptions(args(), BENCHES)).toThrow(message);
  });
});

test("such an error goes to stderr with the help, and the exit code is 2", () => {
  const program = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
  const args = [program, "--compare", join(folder, "missing.json")];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(stderr).toMatch(/missing\.json does not exist\n\nnpm run bench: /);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
});

test("each file of docs/benchmarks is a run that can be compared with, named after its version", () => {
  const benchmarks = fileURLToPath(new URL("../../../docs/benchmarks/", import.meta.url));
  for (const name of readdirSync(benchmarks).filter((file) => file !== "README.md")) {
    expect(name).toMatch(/^\d+\.\d+\.\d+\.json$/);
    expect(
      Object.keys(readOptions(["--compare", join(benchmarks, name)], BENCHES).before?.record.figures ?? {}),
    ).toContain("startup_ms");
  }
});
