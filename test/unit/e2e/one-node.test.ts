import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

/* The script around a tool that makes a cluster: here a tool that writes down what it is told. */

const SCRIPT = fileURLToPath(new URL("../../e2e/one-node.sh", import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "apitoken-one-node-"));
  mkdirSync(join(folder, "checkout/test/e2e"), { recursive: true });
  cpSync(SCRIPT, join(folder, "checkout/test/e2e/one-node.sh"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Creates a tool in a folder next to the checkout, which fails for one verb. */
function putTool(beside: string, failing = "none"): string {
  const path = join(folder, beside, "cluster/cluster");
  mkdirSync(join(folder, beside, "cluster"), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "$@" >> '${folder}/told'\ntest "$1" != ${failing}\n`);
  chmodSync(path, 0o755);
  return path;
}

function run(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const script = join(folder, "checkout/test/e2e/one-node.sh");
  return spawnSync("bash", [script, ...args], { encoding: "utf8", env: { PATH: process.env.PATH, ...env } });
}

const told = () => readFileSync(join(folder, "told"), "utf8").trim().split("\n");

const BUILDS = [
  ...["controller", "cleanup", "migrate", "verifier"].map(
    (target) => `image -t apitoken-operator-${target}:e2e --target ${target} .`,
  ),
  "image -t apitoken-operator-e2e-gateway:e2e --target e2e-gateway test/e2e/gateway-image",
];
const E2E = "exec -- node test/e2e/main.ts --no-build --tag e2e";

test("a cluster is started, gets the images, runs the e2e and is removed", () => {
  putTool("shared");
  const { status, stdout } = run(["--upgrade-from", "old.tgz"]);
  expect(told()).toEqual(["up", ...BUILDS, "load postgres:15", `${E2E} --upgrade-from old.tgz`, "down"]);
  expect(stdout).toMatch(/^== cluster up \[\d+ s\]$/m);
  expect(status).toBe(0);
});

test.each([
  ["up", ["up", "down"]],
  ["image", ["up", BUILDS[0], "down"]],
  ["exec", ["up", ...BUILDS, "load postgres:15", E2E, "down"]],
  ["down", ["up", ...BUILDS, "load postgres:15", E2E, "down"]],
])("if %s fails, the cluster is removed and the run fails", (verb, expected) => {
  putTool("shared", verb);
  expect(run().status).toBe(1);
  expect(told()).toEqual(expected);
});

test("with --keep the cluster is kept", () => {
  putTool("shared");
  expect(run(["--keep"]).status).toBe(0);
  expect(told().at(-1)).toBe(`${E2E} --keep`);
});

test("the tool is the configured one, or next to the checkout, or missing", () => {
  expect(run(["--find"])).toMatchObject({ status: 0, stdout: "\n" });
  expect(run()).toMatchObject({ status: 2, stderr: expect.stringContaining("set E2E_CLUSTER to one") });
  const shared = putTool("shared");
  expect(run(["--find"])).toMatchObject({ status: 0, stdout: `${shared}\n` });
  const named = putTool("elsewhere/deep");
  expect(run(["--find"], { E2E_CLUSTER: named })).toMatchObject({ status: 0, stdout: `${named}\n` });
});

test("a configured tool that does not exist is an error, not a run without one", () => {
  putTool("shared");
  const { status, stderr } = run(["--find"], { E2E_CLUSTER: join(folder, "none") });
  expect(stderr).toContain("none, which is not a program");
  expect(status).toBe(2);
});
