import { expect, test } from "vitest";
import { readValueRows } from "../../support/chart/values-table.ts";
import { readProjectFile, readYamlBlocks } from "./tables.ts";

const rows = new Set(readValueRows().map(({ path }) => path));

/** The values that a block is or holds: a file for helm, an Application of Argo CD, a HelmRelease of Flux. */
function findValues(block: Record<string, unknown>): unknown {
  // biome-ignore lint/suspicious/noExplicitAny: of whatever kind it is
  const spec = block.spec as any;
  if (block.kind === "Application") return spec.source.helm.valuesObject;
  if (block.kind === "HelmRelease") return spec.values;
  return block.kind === undefined ? block : {};
}

/** The names of all values that are set, such as `controller.lease.name`. */
function listPaths(value: unknown, above: readonly string[] = []): string[] {
  const path = above.join(".");
  const isWhole = rows.has(path) || typeof value !== "object" || value === null || Array.isArray(value);
  if (isWhole) return [path];
  return Object.entries(value).flatMap(([name, child]) => listPaths(child, [...above, name]));
}

test("docs/install.md sets values that the chart has", () => {
  const sets = readYamlBlocks(readProjectFile("docs/install.md")).map((block) => listPaths(findValues(block)));
  const paths = sets.flat().filter((path) => path !== "");
  expect(paths).toContain("database.logins.cleanup.existingSecret");
  expect(paths.filter((path) => !rows.has(path))).toEqual([]);
});

test("values in its text exist in the chart, too", () => {
  const tops = new Set([...rows].map((path) => path.split(".")[0]));
  const named = [...readProjectFile("docs/install.md").matchAll(/`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:[=:][^`]*)?`/g)]
    .map(([, path]) => path as string)
    .filter((path) => tops.has(path.split(".")[0] as string));
  const isKnown = (path: string) => rows.has(path) || [...rows].some((row) => row.startsWith(`${path}.`));
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !isKnown(path))).toEqual([]);
});
