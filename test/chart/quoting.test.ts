import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { applyText, CHART_PATH, readValueSet, runTemplate, tools, VALUE_SETS } from "../support/chart/helm.ts";
import { connectCluster, type TestCluster } from "../support/cluster.ts";

/*
 * A name that YAML would read as a number, a boolean or null is as good as any other: every templated scalar states its
 * type.
 */

const TEMPLATES = join(CHART_PATH, "templates");

/** What precedes a value: `key: `, `- `, or both. */
const BEFORE_VALUE = /^ *(?:- [\w./-]+: |- |[\w./-]+: )/;

/** A template whose last function fixes the type for any value. */
const TYPED = /(?:\bquote|\btoJson|\btoYaml|\bint|\bint64|\bnindent \d+) -?\}\}\]?$|\{\{ to(?:Json|Yaml) [^}]*\}\}$/;

function isUntyped(line: string): boolean {
  const before = BEFORE_VALUE.exec(line)?.[0];
  const value = line.slice(before?.length);
  // Quoted as a whole, a block, or a CEL expression, which is text in any case.
  const isText = /^(?:["'|>]|request\.)/.test(value);
  return before !== undefined && value.includes("{{") && !isText && !TYPED.test(value);
}

test("no template leaves the type of a scalar to its value", () => {
  const untyped = globSync(["**/*.yaml", "**/*.tpl"], { cwd: TEMPLATES }).flatMap((file) => {
    const lines = readFileSync(join(TEMPLATES, file), "utf8").split("\n");
    return lines.flatMap((line, index) => (isUntyped(line) ? [`${file}:${index + 1}: ${line.trim()}`] : []));
  });
  expect(untyped).toEqual([]);
});

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await connectCluster();
  for (const namespace of ["team-a", "team-b"]) await ensureNamespace(namespace);
});
afterAll(() => cluster?.close());

async function ensureNamespace(name: string): Promise<void> {
  const { code, output } = await cluster.kubectl(["create", "namespace", name]);
  expect(code === 0 || output.includes("AlreadyExists"), output).toBe(true);
}

/** As text, so that kubectl parses it as helm would: YAML's versions differ in what is a boolean or a number. */
async function render(values: object, release: string, namespace: string): Promise<string> {
  const { code, stdout, stderr } = await runTemplate(values, { release, namespace });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  // The kinds of the Prometheus operator may be missing here; the first test of this file looks at their templates.
  const documents = stdout.split(/^---$/m).filter((text) => !text.includes("apiVersion: monitoring.coreos.com/v1"));
  return documents.join("---");
}

describe.skipIf(tools.helm === undefined)("the API server accepts every object of", () => {
  test.each([
    { release: "482", namespace: "2026" },
    { release: "true", namespace: "null" },
    { release: "on", namespace: "no" },
    { release: "1e3", namespace: "0x1f" },
    { release: "0o17", namespace: "017" },
  ])("release $release in namespace $namespace, with each set of values", async ({ release, namespace }) => {
    await ensureNamespace(namespace);
    for (const name of VALUE_SETS) {
      const values = { ...(parse(readValueSet(name)) as object), fullnameOverride: release };
      const args = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
      const { code, stderr } = await applyText(await render(values, release, namespace), args);
      expect({ values: name, code, stderr }).toEqual({ values: name, code: 0, stderr: "" });
    }
  });
});
