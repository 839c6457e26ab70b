import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { findPromtool } from "../../../local/setup/alert-tools.mjs";
import type { SchemaNode } from "../../../src/kube/crds/api-reference.ts";
import { buildCrds } from "../../../src/kube/crds/crd.ts";
import { hasPromtool } from "../../support/alerts/promtool.ts";
import { readProjectFile } from "../docs/tables.ts";

interface Gauge {
  readonly path: readonly string[];
  readonly valueFrom: readonly string[];
  readonly labelsFromPath?: Readonly<Record<string, readonly string[]>>;
}

interface Resource {
  readonly groupVersionKind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly metricNamePrefix: string;
  readonly labelsFromPath: Readonly<Record<string, readonly string[]>>;
  readonly metrics: readonly { readonly name: string; readonly each: { readonly gauge: Gauge } }[];
}

const CONFIG = parse(readProjectFile("gitops/kube-state-metrics/config.yaml")) as { spec: { resources: Resource[] } };
const ALERTS = readProjectFile("gitops/kube-state-metrics/alerts.yaml");

/** The schema of a kind, in which metadata has the fields of any object. */
function schemaOf({ group, version, kind }: Resource["groupVersionKind"]): SchemaNode {
  const found = Object.values(buildCrds())
    .map(({ spec }) => spec as { group: string; names: { kind: string }; versions: { name: string; schema: object }[] })
    .find((spec) => spec.group === group && spec.names.kind === kind)
    ?.versions.find(({ name }) => name === version)?.schema as { openAPIV3Schema: SchemaNode } | undefined;
  if (found === undefined) throw new Error(`there is no ${kind} of ${group}/${version}`);
  const { openAPIV3Schema } = found;
  const text = { type: "string" };
  const metadata = { type: "object", properties: { name: text, namespace: text } };
  return { ...openAPIV3Schema, properties: { ...openAPIV3Schema.properties, metadata } };
}

const follow = (schema: SchemaNode | undefined, path: readonly string[]) =>
  path.reduce<SchemaNode | undefined>((node, key) => (node?.items ?? node)?.properties?.[key], schema);

describe("kube-state-metrics reads only what the CRDs have:", () => {
  test.each(CONFIG.spec.resources)("$groupVersionKind.kind", ({ groupVersionKind, labelsFromPath, metrics }) => {
    const schema = schemaOf(groupVersionKind);
    for (const path of Object.values(labelsFromPath)) expect(follow(schema, path), path.join(".")).toBeDefined();
    for (const { name, each } of metrics) {
      const { path, valueFrom, labelsFromPath: labels = {} } = each.gauge;
      const parent = follow(schema, path);
      for (const below of [valueFrom, ...Object.values(labels)]) expect(follow(parent, below), name).toBeDefined();
    }
  });
});

test("the alerts ask for metrics and labels that the configuration makes", () => {
  const made = CONFIG.spec.resources.flatMap(({ metricNamePrefix, metrics }) =>
    metrics.map(({ name }) => `${metricNamePrefix}_${name}`),
  );
  expect(made).toEqual(expect.arrayContaining([...new Set(ALERTS.match(/kube_\w+/g))]));
});

describe.skipIf(!hasPromtool)("in Prometheus' own engine", () => {
  const series = (name: string, labels: string, value: number | string) => ({
    series: `${name}{${labels}}`,
    values: `${value}x120`,
  });
  const of = (name: string) => `namespace="shop",name="${name}",owner="shop/${name}"`;
  const condition = (name: string, type: string, reason: string, value: number) =>
    series("kube_apitoken_condition", `${of(name)},type="${type}",reason="${reason}"`, value);
  const DAY = 86_400;

  test("each alert fires for what it is about, and for nothing else", () => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-rules-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "rules.yaml"), ALERTS);
    const input_series = [
      condition("fine", "Ready", "Issued", 1),
      series("kube_apitoken_expires_timestamp_seconds", of("fine"), DAY / 2),
      series("kube_apitoken_renews_timestamp_seconds", of("fine"), DAY / 3),
      condition("denied", "Ready", "PolicyDenied", 0),
      condition("denied", "Stalled", "PolicyDenied", 1),
      series("kube_apitoken_expires_timestamp_seconds", of("denied"), DAY / 2),
      condition("ending", "Ready", "Issued", 1),
      series("kube_apitoken_expires_timestamp_seconds", of("ending"), DAY / 2),
      condition("unused", "Ready", "Issued", 1),
      series("kube_apitoken_expires_timestamp_seconds", of("unused"), 90 * DAY),
      series("kube_apitoken_last_used_timestamp_seconds", of("unused"), -31 * DAY),
      series("kube_apitokenpolicy_condition", 'name="good",type="Accepted",reason="Accepted"', 1),
      series("kube_apitokenpolicy_condition", 'name="bad",type="Accepted",reason="InvalidSpec"', 0),
      series("kube_ownerblock_condition", 'name="waits",type="Reconciling",reason="InProgress"', 1),
      series("kube_ownerblock_condition", 'name="stuck",type="Stalled",reason="DatabaseRefused"', 1),
    ];
    const fires = (alertname: string, name: string) => ({
      labels: `{alertname="${alertname}",name="${name}"}`,
      value: 1,
    });
    const tests = {
      rule_files: ["rules.yaml"],
      tests: [
        {
          interval: "1m",
          input_series,
          promql_expr_test: [
            {
              expr: 'group by (alertname, name) (ALERTS{alertstate="firing"})',
              eval_time: "60m",
              exp_samples: [
                fires("ApiTokenStalled", "denied"),
                fires("ApiTokenEnds", "ending"),
                fires("ApiTokenUnused", "unused"),
                fires("ApiTokenPolicyUnreadable", "bad"),
                fires("OwnerBlockStalled", "stuck"),
              ],
            },
          ],
        },
      ],
    };
    writeFileSync(join(folder, "test.json"), JSON.stringify(tests));
    const run = () =>
      execFileSync(findPromtool() ?? "", ["test", "rules", "test.json"], { cwd: folder, encoding: "utf8" });
    expect(run()).toContain("SUCCESS");
  });
});
