import { expect, test } from "vitest";
import { createVerifierMetrics } from "../../../src/verifier/metrics.ts";
import { codeIn, readProjectFile, readTable } from "../docs/tables.ts";
import { NO_LEVELS } from "./levels.ts";

test("docs/verifier.md explains every metric of the verifier, and no other", () => {
  const { registry } = createVerifierMetrics(NO_LEVELS);
  const exported = registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[];
  const own = exported
    .filter(({ name }) => name.startsWith("apitoken_"))
    .map(({ name, labelNames }) => (labelNames.length === 0 ? name : `${name}{${labelNames.join(",")}}`));
  const told = readTable(readProjectFile("docs/verifier.md"), "## Metrics").map(([metric]) => codeIn(metric)[0]);
  expect(told.sort()).toEqual(own.sort());
});
