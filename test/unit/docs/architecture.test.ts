/*
 * ARCHITECTURE.md is how a stranger finds their way: what it names must exist, and it must name every folder of src.
 */
import { existsSync, readdirSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";
import { readProjectFile } from "./tables.ts";

const text = readProjectFile("ARCHITECTURE.md");
const root = new URL("../../../", import.meta.url);

const named = [...text.matchAll(/`((?:src|test|docs|charts|migrations|demo|local|crds|examples)\/[\w./-]*)`/g)].map(
  ([, path = ""]) => path,
);

test("every path that it names exists", () => {
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test("every folder of src is in the code map", () => {
  const files = readdirSync(new URL("src", root), { recursive: true, encoding: "utf8" });
  const folders = new Set(files.filter((file) => file.endsWith(".ts")).map((file) => posix.dirname(`src/${file}`)));
  folders.delete("src");
  const mapped = [...text.matchAll(/^\| `(src\/[\w/-]+)` \|/gm)].map(([, folder]) => folder);
  expect(mapped.sort()).toEqual([...folders].sort());
});
