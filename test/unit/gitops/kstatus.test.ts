import { describe, expect, test } from "vitest";
import { listSamples, type Sample } from "../../support/gitops/every-reason.ts";
import { askKstatus, hasGitOpsTools } from "../../support/gitops/tools.ts";
import { codeIn, readProjectFile, readTable } from "../docs/tables.ts";

/** What docs/lifecycle.md says of each reason: first of all, and once it has lasted. */
const DOCUMENTED = new Map<string, string[]>(
  readTable(readProjectFile("docs/lifecycle.md"), "## What tools see").flatMap(([kind, condition, reasons, status]) => {
    const [type] = codeIn(condition);
    const is = condition?.split(" ").at(-1);
    return codeIn(reasons).map(
      (reason) => [`${kind} ${type} ${is} ${reason}`, status?.split(", then ") ?? []] as const,
    );
  }),
);

const nameOf = ({ kind, condition, is, reason }: Sample) => `${kind} ${condition} ${is} ${reason}`;
const samples = listSamples();

test("docs/lifecycle.md states of every reason what tools see, and of no other", () => {
  expect([...DOCUMENTED.keys()].sort()).toEqual([...new Set(samples.map(nameOf))].sort());
});

describe.skipIf(!hasGitOpsTools)("kstatus itself", () => {
  test("says what docs/lifecycle.md says of each reason, with the message of the condition", () => {
    const results = askKstatus(samples.map(({ resource }) => resource));
    const said = samples.map((sample, index) => [nameOf(sample), sample.failures, results[index]?.status]);
    const expected = samples.map((sample) => {
      const [first, lasting = first] = DOCUMENTED.get(nameOf(sample)) ?? [];
      return [nameOf(sample), sample.failures, sample.failures > 1 ? lasting : first];
    });
    expect(said).toEqual(expected);
    const messages = results.map(({ message }, index) => [samples[index]?.reason, message]);
    for (const [reason, message] of messages.filter((_, index) => said[index]?.[2] === "Failed")) {
      expect(message).toBe(`is ${reason}`);
    }
  });

  test("waits for a resource that the controller has not seen, or not since its last change", () => {
    const kind = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken" };
    const [sample] = samples;
    const resources = [
      { ...kind, metadata: { name: "new", generation: 1 }, status: { observedGeneration: -1 } },
      { ...sample?.resource, metadata: { name: "changed", generation: 4 } },
      { ...sample?.resource, metadata: { name: "going", generation: 3, deletionTimestamp: "2026-06-01T12:00:00Z" } },
    ];
    expect(askKstatus(resources).map(({ status }) => status)).toEqual(["InProgress", "InProgress", "Terminating"]);
  });
});
