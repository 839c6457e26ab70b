/*
 * A list of words that nobody looks for is not kept: no text and no comment has a word that docs/style.md asks to avoid.
 */
import { readdirSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

const GUIDE = "docs/style.md";

/** These name the words. */
const NOT_CHECKED = [GUIDE, "test/unit/docs/style.test.ts"];

const PLACES = [
  "README.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "build.mjs",
  "Dockerfile",
  "package.json",
  "sbom.ts",
  "docs",
  "charts",
  "crds",
  "demo",
  ".github",
  "examples",
  "local",
  "migrations",
  "src",
  "test",
];

function* listFiles(path: string): Iterable<string> {
  if (statSync(new URL(`../../../${path}`, import.meta.url)).isFile()) return yield path;
  for (const entry of readdirSync(new URL(`../../../${path}`, import.meta.url))) yield* listFiles(`${path}/${entry}`);
}

interface Advice {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** A phrase may be broken by a line's end and what starts the next line of a comment or quotation. */
function toPattern(phrase: string): RegExp {
  const expression = /^\/(.*)\/$/.exec(phrase)?.[1]?.replaceAll("\\|", "|");
  const words = expression ?? `\\b${phrase}\\b`;
  const isSentenceStart = /^[A-Z]/.test(phrase);
  return new RegExp(words.replaceAll(" ", "\\s+(?:(?:\\*|//|#|--|>)\\s+)?"), isSentenceStart ? "g" : "gi");
}

const advice: Advice[] = readTable(readProjectFile(GUIDE), "## Words to avoid").flatMap(([avoid = "", instead = ""]) =>
  codeIn(avoid).map((phrase) => ({ pattern: toPattern(phrase), instead })),
);

function findFaults(file: string): string[] {
  const text = readProjectFile(file);
  return advice.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map(({ 0: found, index }) => {
      const line = text.slice(0, index).split("\n").length;
      return `${file}:${line}: "${found.replaceAll(/\s+/g, " ")}"; write: ${instead}`;
    }),
  );
}

test("the guide's words are found, also across lines and in comments", () => {
  const finds = (text: string) => advice.some(({ pattern }) => text.match(pattern) !== null);
  expect(
    ["It is mended.", "for\n * ever", "so\nlong", "it is no key", "Who has the key", "tells why"].map(finds),
  ).not.toContain(false);
  expect(["recommended", "it is no longer here", "there is no key", "anyone who has the key"].map(finds)).not.toContain(
    true,
  );
});

describe.each(PLACES)("in %s", (place) => {
  test("no text has a word that the guide asks to avoid", () => {
    const files = [...listFiles(place)].filter((file) => !NOT_CHECKED.includes(file));
    expect(files.flatMap(findFaults)).toEqual([]);
  });
});
