import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { listSamples } from "../../support/gitops/every-reason.ts";
import { askFlux, askKstatus, type HealthCheckExprs, hasGitOpsTools } from "../../support/gitops/tools.ts";
import { readProjectFile } from "../docs/tables.ts";

interface Kustomization {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly healthCheckExprs?: readonly (HealthCheckExprs & { readonly kind: string })[] };
}

const kustomizations = parseAllDocuments(readProjectFile("gitops/flux/kustomizations.yaml")).map(
  (document) => document.toJS() as Kustomization,
);
const exprsOf = (name: string) =>
  kustomizations.find(({ metadata }) => metadata.name === name)?.spec.healthCheckExprs?.[0] as HealthCheckExprs;

/** The answers that differ from those of kstatus alone, by reason. */
function compare(name: string, kind: string): Record<string, string> {
  const samples = listSamples().filter((sample) => sample.kind === kind);
  const resources = samples.map(({ resource }) => resource);
  const plain = askKstatus(resources);
  const answers = askFlux(exprsOf(name), resources);
  return Object.fromEntries(
    samples.flatMap(({ condition, is, reason }, index) =>
      answers[index] === plain[index]?.status ? [] : [[`${condition} ${is} ${reason}`, `${answers[index]}`]],
    ),
  );
}

describe.skipIf(!hasGitOpsTools)("in Flux", () => {
  test("the expressions for an archive take an end that was asked for as the goal, and change nothing else", () => {
    expect(compare("archive", "ApiToken")).toEqual({
      "Ready False RevokedBySpec": "Current",
      "Ready False Superseded": "Current",
    });
  });

  test("the expressions for an offboarding wait until a block is in effect, and change nothing else", () => {
    expect(compare("offboarding", "OwnerBlock")).toEqual({
      "Effective False Pending": "InProgress",
      "Erased False Pending": "InProgress",
    });
  });

  test.each(["archive", "offboarding"])("the expressions for %s wait for what no controller has seen", (name) => {
    const unseen = { metadata: { name: "new", generation: 1 }, status: { observedGeneration: -1 } };
    expect(askFlux(exprsOf(name), [{ apiVersion: "v1", kind: "Any", ...unseen }])).toEqual(["InProgress"]);
  });
});
