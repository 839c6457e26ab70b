import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CHART } from "../../e2e/installation.ts";
import { HELP, readOptions } from "../../e2e/options.ts";

test("by default the chart in this checkout is installed, with images that docker builds", () => {
  expect(readOptions([])).toMatchObject({
    current: { chart: CHART, images: { registry: "", tag: "e2e" } },
    previous: undefined,
    gateway: "apitoken-operator-e2e-gateway:e2e",
    supply: { build: "docker build --target {target} -t {image} {context}", load: undefined },
  });
});

test("all images are built, from Dockerfiles that have these targets", () => {
  const { supply, gateway } = readOptions(["--registry", "r.example.com"]);
  expect(supply?.images.map(({ image }) => image)).toEqual([
    ...["controller", "cleanup", "migrate", "verifier"].map((name) => `r.example.com/apitoken-operator-${name}:e2e`),
    gateway,
  ]);
  for (const { target, context } of supply?.images ?? []) {
    const dockerfile = readFileSync(new URL(`../../../${context}/Dockerfile`, import.meta.url), "utf8");
    expect(dockerfile).toMatch(new RegExp(`^FROM .* AS ${target}$`, "m"));
  }
});

test("a gateway that is there already is not built", () => {
  const { supply, gateway } = readOptions(["--gateway", "r.example.com/gateway:1"]);
  expect(gateway).toBe("r.example.com/gateway:1");
  expect(supply?.images).toHaveLength(4);
});

test.each([
  ["its own", [], { registry: "r.example.com", tag: undefined }],
  [
    "given",
    ["--upgrade-from-registry", "old.example.com", "--upgrade-from-tag", "9"],
    { registry: "old.example.com", tag: "9" },
  ],
])("another version is installed first, with images that are %s", (_what, more, images) => {
  const chart = "oci://r.example.com/charts/apitoken-operator:0.1.0";
  const options = readOptions(["--no-build", "--registry", "r.example.com", "--upgrade-from", chart, ...more]);
  expect(options.previous).toMatchObject({ chart, images });
  expect(options.current).toMatchObject({ chart: CHART, images: { registry: "r.example.com", tag: "e2e" } });
  expect(options.supply).toBeUndefined();
});

test("options that make no sense are an error", () => {
  expect(() => readOptions(["--upgrade-form", "x"])).toThrow("--upgrade-form");
  expect(() => readOptions(["--upgrade-from-tag", "1"])).toThrow("need --upgrade-from");
});

test("--help lists every option", () => {
  for (const option of [
    "build",
    "load",
    "no-build",
    "registry",
    "tag",
    "postgres",
    "gateway",
    "wait",
    "keep",
    "upgrade-from",
  ]) {
    expect(HELP).toMatch(new RegExp(`^ +--${option} `, "m"));
  }
});
