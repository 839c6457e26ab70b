/*
 * The tests' folders mirror those of the sources, so that anyone who knows a source file finds its tests without a
 * search, and the other way round.
 */
import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);

/** Folders that hold tests of something outside src, and what that is. */
const OUTSIDE = new Map([
  ["unit/bench", "test/bench"],
  ["unit/charts", "charts"],
  ["unit/docs", "docs"],
  ["unit/e2e", "test/e2e"],
  ["unit/gitops", "gitops"],
  ["unit/leaks", "leak-rules"],
  ["unit/local", "local"],
  ["unit/local/setup", "local/setup"],
  ["integration/alerts", "charts/apitoken-operator/files/alerts.yaml"],
  ["integration/cleanup/systems", "src/cleanup/target/presets"],
  ["integration/demo", "demo"],
  ["integration/docs", "docs"],
  ["integration/gitops", "gitops"],
  ["integration/leaks", "docs/leaks.md"],
]);

const folders = ["unit", "integration"].flatMap((kind) =>
  readdirSync(new URL(`test/${kind}`, root), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`.replace(/^.*\/test\//, "")),
);

test.each(folders)("test/%s mirrors the folder that it tests", (folder) => {
  const source = OUTSIDE.get(folder) ?? folder.replace(/^[a-z]+\//, "src/");
  expect(existsSync(new URL(source, root)), `test/${folder} is for ${source}, which does not exist`).toBe(true);
});

test("every integration test is in a folder", () => {
  const files = readdirSync(new URL("test/integration", root)).filter((name) => name.includes("."));
  expect(files).toEqual([]);
});
