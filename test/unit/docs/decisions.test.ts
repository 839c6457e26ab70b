/*
 * A decision is only found if it is in the index, and only believed if the files and tests that it names exist.
 */
import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readProjectFile, readTable } from "./tables.ts";

const root = new URL("../../../", import.meta.url);
const FILES = readdirSync(new URL("docs/decisions", root)).filter((file) => file !== "README.md");
const index = readProjectFile("docs/decisions/README.md");

const SECTIONS = ["Context", "Decision", "Rejected alternatives", "Consequences", "In the code"];
const sectionsOf = (text: string) => [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
const titleOf = (text: string) => /^# \d{4}\. (.+)\n/.exec(text)?.[1];

test("decisions are numbered without gaps, and the file's name begins with the number", () => {
  expect(FILES.length).toBeGreaterThanOrEqual(10);
  const numbers = FILES.map((_, place) => String(place + 1).padStart(4, "0"));
  expect(FILES.map((file) => file.slice(0, 5))).toEqual(numbers.map((number) => `${number}-`));
});

test("the index lists every decision by number and title", () => {
  const rows = FILES.map((file) => [
    file.slice(0, 4),
    `[${titleOf(readProjectFile(`docs/decisions/${file}`))}](${file})`,
  ]);
  expect(readTable(index, "## All decisions")).toEqual(rows);
});

test("the template has the sections that every decision must have", () => {
  expect(sectionsOf(index.split("```markdown")[1] ?? "")).toEqual(SECTIONS);
});

describe.each(FILES)("%s", (file) => {
  const text = readProjectFile(`docs/decisions/${file}`);
  const code = [...text.matchAll(/`([^`\s]+)`/g)].map(([, word = ""]) => word);
  const paths = code.filter((word) => /^(src|test|docs|charts|migrations|demo|local|crds|examples)\//.test(word));

  test("has its number and a title, all sections, and fits on a page", () => {
    expect(text.startsWith(`# ${file.slice(0, 4)}. `)).toBe(true);
    expect(sectionsOf(text)).toEqual(SECTIONS);
    expect(text.split("\n").length).toBeLessThanOrEqual(60);
  });

  test("names files and tests that exist", () => {
    expect(paths.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
    expect(paths.filter((path) => path.startsWith("test/")).length, "a test that holds it").toBeGreaterThan(0);
  });
});
