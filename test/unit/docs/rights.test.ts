import { expect, test } from "vitest";
import { parse } from "yaml";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

/* The table of the controller's rights says what the chart's templates say. */

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const RBAC = "charts/apitoken-operator/templates/rbac";
const values = parse(readProjectFile("charts/apitoken-operator/values.yaml"));

/** The rules in a template's text, with its values filled in and other directives left out. */
function readRules(template: string): Rule[] {
  const filled = template
    .replace("{{ .Values.controller.lease.name | quote }}", values.controller.lease.name)
    .replace("{{ .Values.controller.keyring.secret | quote }}", values.controller.keyring.secret);
  return parse(filled.replaceAll(/^\s*\{\{.*\}\}$/gm, "")) ?? [];
}

/** The rules of the objects of a kind. */
function readRulesOf(kind: string): Rule[] {
  const objects = readProjectFile(`${RBAC}/controller.yaml`).split("\n---\n");
  return objects
    .filter((text) => text.includes(`\nkind: ${kind}\n`))
    .flatMap((text) => readRules(text.split("\nrules:\n")[1] ?? ""));
}

const describeRule = (where: string, { apiGroups, resources, resourceNames = [], verbs }: Rule): string[] => [
  where,
  apiGroups.map((group) => group || "core").join(" "),
  resources.join(" "),
  resourceNames.join(" "),
  verbs.join(" "),
];

test("docs/security.md has every right of the controller, and no other", () => {
  const inChart = [
    ...readRules(readProjectFile(`${RBAC}/_rules.tpl`)).map((rule) => describeRule("everywhere", rule)),
    ...readRulesOf("ClusterRole").map((rule) => describeRule("cluster", rule)),
    ...readRulesOf("Role").map((rule) => describeRule("own namespace", rule)),
  ];
  const table = readTable(readProjectFile("docs/security.md"), "### The controller's ServiceAccount");
  const inText = table.map(([where = "", ...cells]) => [
    where,
    ...cells.slice(0, 4).map((cell) => codeIn(cell).join(" ")),
  ]);
  expect(inChart).toHaveLength(12);
  expect(inText).toEqual(inChart);
});
