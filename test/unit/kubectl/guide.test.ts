import { describe, expect, test } from "vitest";
import { buildGuide } from "../../../src/kubectl/guide/build.ts";
import { explain, findNearName, findRemedy, GUIDE } from "../../../src/kubectl/guide/guide.ts";
import { FAULT_CODES } from "../../../src/runtime/fault.ts";
import { BLOCK_REASONS } from "../../../src/token/block-reasons.ts";
import { REASONS } from "../../../src/token/reasons.ts";

/* What `kubectl apitoken explain` prints without a cluster is the text of the documents. */

test.each([
  ...REASONS,
  ...Object.values(BLOCK_REASONS).flatMap(({ True, False }) => [...True, ...False]),
  ...FAULT_CODES,
])("%s is explained", (name) => {
  const [entry] = explain(name.toLowerCase());
  expect(entry?.cause).toMatch(/\.$/);
});

test("no text has a link, a mark of code or an empty cause", () => {
  for (const { name, cause, remedy = "-" } of GUIDE) {
    expect(`${cause}${remedy}`, name).not.toMatch(/`|\]\(/);
    expect(cause, name).not.toBe("");
  }
});

describe("looked up", () => {
  test("a reason of several conditions has an explanation for each", () => {
    expect(new Set(explain("DatabaseUnavailable").map(({ about }) => about)).size).toBe(2);
  });

  test("a misspelt name has a near one, and an unknown one has none", () => {
    expect(findNearName("PolicyDenyed")).toBe("PolicyDenied");
    expect(findNearName("Weather")).toBeUndefined();
  });

  test("an unknown reason has no remedy", () => {
    expect(findRemedy("EclipseOfTheMoon")).toBeUndefined();
  });
});

test("columns that the guide does not know are kept under their titles", () => {
  const lifecycle = [
    "Reasons of Ready",
    "Reasons of the other conditions",
    "Events",
    "ApiTokenPolicies",
    "OwnerBlocks",
    "Why a token ended",
    "Why a token was issued",
  ]
    .map(
      (heading) => `\n## ${heading}\n\n| reason | cause | weather |\n|---|---|---|\n| \`A\` | [b](c) | \`d\` \\| e |\n`,
    )
    .join("");
  expect(buildGuide(lifecycle, "")[0]).toMatchObject({ name: "A", cause: "b", more: { weather: "d | e" } });
});
