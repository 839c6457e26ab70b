import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CHART_PATH, runTemplate, runTool, tools } from "../support/chart/helm.ts";
import { CHART, putValueRows, readValueRows } from "../support/chart/values-table.ts";

const DEV = { devPostgres: { enabled: true } };

test("the README's table matches values.yaml", () => {
  const readme = readFileSync(new URL("README.md", CHART), "utf8");
  expect(putValueRows(readme, readValueRows()), 'run "npm run chart:docs"').toBe(readme);
});

test("the table knows what a value is", () => {
  const text =
    "# -- Of all.\na: {}\nb:\n  # More.\n  # -- The first | best.\n  c: 1\n  d: [x]\n  resources: { e: 1 }\n";
  expect(readValueRows(text)).toEqual([
    { path: "a", byDefault: "{}", meaning: "Of all." },
    { path: "b.c", byDefault: "1", meaning: "The first | best." },
    { path: "b.d", byDefault: '["x"]', meaning: "" },
    { path: "b.resources", byDefault: '{"e":1}', meaning: "" },
  ]);
});

interface Schema {
  readonly $ref?: string;
  readonly type?: string | string[];
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: unknown;
  readonly items?: Schema;
}

const schema = JSON.parse(readFileSync(new URL("values.schema.json", CHART), "utf8")) as Schema & {
  definitions: Record<string, Schema>;
};

const resolve = (part: Schema): Schema =>
  part.$ref === undefined ? part : (schema.definitions[part.$ref.replace("#/definitions/", "")] as Schema);

/** Every name that the schema lists, down to the depth of the rows of values.yaml. */
function listPaths(part: Schema, above: readonly string[], rows: ReadonlySet<string>): string[] {
  const path = above.join(".");
  const { properties } = resolve(part);
  if (properties === undefined || rows.has(path)) return [path];
  return Object.entries(properties).flatMap(([name, child]) => listPaths(child, [...above, name], rows));
}

test("the schema and values.yaml have the same values", () => {
  const rows = new Set(readValueRows().map(({ path }) => path));
  const paths = listPaths(schema, [], rows).filter((path) => path !== "global" && path !== "enabled");
  expect(paths.sort()).toEqual([...rows].sort());
});

describe.skipIf(tools.helm === undefined)("a value is refused, with its name, that is", () => {
  const set = (path: string, value: unknown): object =>
    path
      .split(".")
      .reverse()
      .reduce<unknown>((inner, name) => ({ [name]: inner }), value) as object;

  test.each([
    ["unknown at the top", "replicas", 3, /replicas/],
    ["misspelt in the controller", "controller.replica", 3, /controller.*replica/s],
    ["misspelt deep down", "controller.lease.durations", "15s", /lease.*durations/s],
    ["misspelt in a login", "database.logins.controller.existingsecret", "x", /existingsecret/],
    ["a number as text", "controller.replicas", "two", /controller[./]replicas/],
    ["text as a number", "controller.logLevel", 3, /controller[./]logLevel/],
    ["a truth as text", "crds.keep", "yes", /crds[./]keep/],
    ["no level", "controller.logLevel", "loud", /controller[./]logLevel/],
    ["no duration", "controller.lease.duration", "15", /lease[./]duration/],
    ["no retention", "cleanup.retention.expired", "a week", /retention[./]expired/],
    ["too large", "controller.concurrency", 1000, /controller[./]concurrency/],
    ["a map in place of a list", "controller.tolerations", { key: "a" }, /controller[./]tolerations/],
    ["no namespace", "watchNamespaces", ["Team_A"], /watchNamespaces/],
    [
      "a target with a misspelt key",
      "cleanup.targets",
      [{ table: "a.b", expiresAt: "e", retentions: {} }],
      /retentions/,
    ],
    ["a target without a table", "cleanup.targets", [{ expiresAt: "e" }], /table/],
    ["a time without a column", "cleanup.targets", [{ table: "a.b", expiresAt: { plus: "7d" } }], /column/],
    ["an admission rule without a rule", "admission.rules", [{ name: "a" }], /admission[./]rules/],
    ["no TLS mode of ours", "database.sslMode", "prefer", /database[./]sslMode/],
    ["no digest", "image.controller.digest", "latest", /controller[./]digest/],
  ])("%s: %s", async (_what, path, value, name) => {
    const { code, stderr } = await runTemplate({ ...DEV, ...set(path, value) });
    expect(stderr).toMatch(name);
    expect(stderr).toContain("don't meet the specifications of the schema");
    expect(code).not.toBe(0);
  });

  test.each([
    ["no database at all", {}, "database.logins.migration.existingSecret is empty"],
    [
      "no login of the cleanup",
      { database: { host: "db", logins: { controller: { existingSecret: "a" }, migration: { existingSecret: "a" } } } },
      "database.logins.cleanup.existingSecret is empty",
    ],
    [
      "no host",
      {
        database: {
          logins: {
            controller: { existingSecret: "a" },
            cleanup: { existingSecret: "a" },
            migration: { existingSecret: "a" },
          },
        },
      },
      "database.host is empty",
    ],
    ["no name of a foreign account", { ...DEV, serviceAccount: { create: false } }, "serviceAccount.name is empty"],
  ])("missing: %s", async (_what, values, fault) => {
    const { code, stderr } = await runTemplate(values);
    expect(stderr).toContain(fault);
    expect(code).not.toBe(0);
  });

  test("a parent chart's global values are accepted", async () => {
    expect(await runTemplate({ ...DEV, global: { region: "x" }, enabled: true })).toMatchObject({ code: 0 });
  });

  test("the packaged chart contains everything that it renders from", async () => {
    const list = await runTool(tools.helm ?? "", ["show", "crds", CHART_PATH]);
    expect(list.stdout.trim()).toBe(""); // Helm would never upgrade them there
  });
});
