/*
 * What the documents show is accepted by what it is for: objects by the API server, with the CRDs of the tools that they belong to,
 * values by the chart, and queries by the database. A block that nothing here knows is a failure.
 */
import { readdirSync } from "node:fs";
import { describe, expect } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readValueSet, renderChart, tools } from "../../support/chart/helm.ts";
import { ownClusterTest } from "../../support/fixtures.ts";
import { hasGitOpsTools, installEcosystemCrds } from "../../support/gitops/tools.ts";
import { readProjectFile } from "../../unit/docs/tables.ts";

const FILES = ["README.md", "charts/apitoken-operator/README.md"].concat(
  ["docs", "docs/runbooks"].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
);

interface Block {
  /** Such as `docs/people.md:46`. */
  readonly place: string;
  readonly language: string;
  readonly text: string;
}

const BLOCKS: readonly Block[] = FILES.flatMap((file) => {
  const text = readProjectFile(file);
  // In a list, a block is indented.
  const found = text.matchAll(/^( *)```(yaml|sql)\n(.*?)^\1```$/gms);
  return [...found].map(({ index, 1: indent = "", 2: language = "", 3: body = "" }) => {
    const line = text.slice(0, index).split("\n").length;
    return { place: `${file}:${line}`, language, text: body.replaceAll(new RegExp(`^${indent}`, "gm"), "") };
  });
});

/** Blocks of other kinds, by a text in them, and where they are tested or why they are not. */
const OTHERS: readonly (readonly [string, string])[] = [
  ["targets:", "test/unit/docs/cleanup-examples.test.ts"],
  ["http_filters:", "Envoy's; docs/consumers.md and docs/verifier.md say what was run"],
  ["create role", "test/integration/postgres/login.test.ts and database-roles.test.ts have logins of this form"],
  ["grant usage on schema app", "test/integration/cleanup has such a role for tables of others"],
  ["create index concurrently", "a hint for tables of others"],
  ["create table app.refresh_tokens", "an outline with an omission"],
  ["alter table app.grants", "test/integration/cleanup/recipes.test.ts"],
];

const isObject = ({ text }: Block) => /^kind: /m.test(text);
const isQuery = ({ text }: Block) => text.startsWith("select ");
const isOther = ({ text }: Block) => OTHERS.some(([part]) => text.includes(part));
const isSpec = ({ text }: Block) => /^rateLimit: /.test(text);

const of = (language: string) => BLOCKS.filter((block) => block.language === language);
const objects = of("yaml").filter(isObject);
const values = of("yaml").filter((block) => !isObject(block) && !isOther(block) && !isSpec(block));
const specs = of("yaml").filter(isSpec);
const queries = of("sql").filter(isQuery);

const test = ownClusterTest.extend("installed", { scope: "file" }, async ({ cluster }) => {
  await installEcosystemCrds(cluster);
  const named = objects.flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS()?.metadata));
  for (const name of new Set(named.map((metadata) => metadata?.namespace).filter(Boolean))) {
    await cluster.kubectl(["create", "namespace", name]);
  }
});

const DRY_RUN = [
  "apply",
  "--server-side",
  "--force-conflicts",
  "--dry-run=server",
  "--validate=strict",
  "--namespace=",
];

describe.skipIf(!hasGitOpsTools)("the API server accepts the object in", () => {
  test.for(objects)("$place", async ({ text }, { cluster, installed: _ }) => {
    expect(await cluster.kubectl([...DRY_RUN, "-f", "-"], text)).toMatchObject({ code: 0 });
  });
});

test.for(readdirSync("examples/platform"))("the API server accepts examples/platform/%s", async (file, { cluster }) => {
  const namespaces = /^ {2}namespace: (\S+)$/m.exec(readProjectFile(`examples/platform/${file}`)) ?? [];
  if (namespaces[1] !== undefined) await cluster.kubectl(["create", "namespace", namespaces[1]]);
  expect(await cluster.kubectl([...DRY_RUN, "-f", `examples/platform/${file}`])).toMatchObject({ code: 0 });
});

test.for(specs)("the API server accepts the part of a spec in $place", async ({ text }, { cluster }) => {
  const spec = { owner: "shop/orders", ...parse(text) };
  const object = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", metadata: { name: "part" }, spec };
  expect(await cluster.kubectl([...DRY_RUN, "-f", "-"], JSON.stringify(object))).toMatchObject({ code: 0 });
});

type Tree = { readonly [key: string]: unknown };
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

/** As helm merges values: maps by their keys, everything else as a whole. */
const merge = (below: Tree, above: Tree): Tree => ({
  ...below,
  ...Object.fromEntries(
    Object.entries(above).map(([key, value]) => {
      const former = below[key];
      return [key, isTree(former) && isTree(value) ? merge(former, value) : value];
    }),
  ),
});

describe.skipIf(tools.helm === undefined)("the chart accepts the values in", () => {
  test.for(values)("$place", async ({ text }) => {
    // What a block leaves out comes from a set of values that is complete.
    const rendered = await renderChart(merge(parse(readValueSet("production")), parse(text)));
    expect(rendered.length).toBeGreaterThan(5);
  });
});

test.for(queries)("the database answers the query in $place", async ({ text }, { databaseUrl }) => {
  await runAsSuperuser(databaseUrl, text);
});

test("there is no block that nothing knows, and nothing that knows no block", () => {
  const unknown = of("sql").filter((block) => !isQuery(block) && !isOther(block));
  expect(unknown.map(({ place }) => place)).toEqual([]);
  expect(OTHERS.filter(([part]) => !BLOCKS.some(({ text }) => text.includes(part)))).toEqual([]);
  for (const found of [objects, values, specs, queries]) expect(found.length).toBeGreaterThan(0);
});
