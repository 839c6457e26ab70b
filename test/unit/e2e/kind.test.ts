import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findKind, provideKind } from "../../../local/setup/kind-tool.mjs";
import { explainMissing, type Found, planKind } from "../../e2e/kind-plan.ts";

const ALL: Found = { docker: "ready", kind: "/bin/kind", kubectl: "/bin/kubectl", helm: "/bin/helm" };

test("with every tool installed nothing is missing", () => {
  expect(explainMissing(ALL)).toEqual([]);
});

test.each<[string, Partial<Found>, RegExp]>([
  ["no docker", { docker: "missing" }, /docker is not installed.*Without docker: npm run e2e .*e2e:one-node/s],
  ["no daemon", { docker: "silent" }, /docker does not answer. Start its daemon.*Without docker/s],
  ["no kind", { kind: undefined }, /kind is not available. Install Go/],
  ["no kubectl", { kubectl: undefined }, /kubectl is not installed.*KUBECTL/],
  ["no helm", { helm: undefined }, /helm is not available.*HELM/],
])("%s: the remedy is shown", (_what, lack, remedy) => {
  expect(explainMissing({ ...ALL, ...lack }).join("\n")).toMatch(remedy);
});

test("a new cluster is created, used and removed, even if parts of the last one are left", () => {
  const settings = { kind: "/opt/kind", name: "n", kubeconfig: "/tmp/k", e2e: ["node", "main.ts"] as const };
  const { steps, remove } = planKind({ ...settings, e2e: ["node", "main.ts"], args: ["--tag", "t"] });
  expect(steps.map(({ command }) => command.join(" "))).toEqual([
    "/opt/kind delete cluster --name n --kubeconfig /tmp/k",
    "/opt/kind create cluster --name n --kubeconfig /tmp/k --wait 180s",
    "node main.ts --load '/opt/kind' load image-archive {} --name n --tag t",
  ]);
  expect(remove).toEqual(steps[0]?.command);
});

test("a path to kind with special characters stays one word of the command that loads images", () => {
  const kind = `/opt/it's here/$(kind)`;
  const { steps } = planKind({ kind, name: "n", kubeconfig: "k", e2e: ["node"], args: [] });
  const line = steps.at(-1)?.command[2] ?? "";
  const { stdout } = spawnSync("sh", ["-c", `printf '%s\n' ${line}`], { encoding: "utf8" });
  expect(stdout.split("\n")[0]).toBe(kind);
});

describe("with stand-ins for the programs", () => {
  let home: string;
  let environment: NodeJS.ProcessEnv;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "apitoken-kind-"));
    mkdirSync(join(home, "bin"));
    symlinkSync(process.execPath, join(home, "bin/node"));
    environment = { XDG_CACHE_HOME: home, PATH: join(home, "bin"), TMPDIR: home };
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(home, { recursive: true, force: true });
  });

  /** Creates a program that records its arguments. */
  function put(name: string, script = ""): string {
    const path = join(home, "bin", name);
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> '${home}/calls'\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  function runE2e(...args: string[]) {
    const main = fileURLToPath(new URL("../../e2e/kind.ts", import.meta.url));
    return spawnSync(process.execPath, [main, ...args], { env: environment, encoding: "utf8" });
  }

  test("without docker the e2e explains what to install, and creates nothing", () => {
    for (const name of ["kind", "kubectl", "helm"]) put(name);
    const { status, stderr, stdout } = runE2e();
    expect(stderr).toMatch(
      /^e2e:kind cannot run here:\n {2}- docker is not installed\. Install it: .*\n {2}- Without docker/,
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  test("a docker that does not answer is reported", () => {
    for (const name of ["kind", "kubectl", "helm"]) put(name);
    put("docker", "exit 1");
    const { status, stderr } = runE2e();
    expect(stderr).toContain("docker does not answer. Start its daemon");
    expect(status).toBe(2);
  });

  test("if the e2e fails, the cluster is removed all the same, and the failure is reported", () => {
    put("docker");
    put("helm");
    put("kubectl", "exit 1"); // the e2e's first step
    put("kind");
    const { status, stdout } = runE2e();
    expect(status).toBe(1);
    expect(stdout.match(/^\[ .*/gm)?.map((line) => line.replace(/^\[.*?\] /, ""))).toEqual([
      "remove the cluster of an earlier run",
      "create a cluster in docker",
      "the e2e",
      "the cluster",
      "remove the cluster",
    ]);
  });

  test("kind is taken from KIND or the host, or built once", async () => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const build = async (folder: string) => {
      writeFileSync(join(folder, "kind"), "");
      chmodSync(join(folder, "kind"), 0o755);
    };
    const fail = () => Promise.reject(new Error("needless"));
    await provideKind({ environment, build });
    await provideKind({ environment, build: fail });
    expect(findKind(environment)).toMatch(/apitoken-operator\/kind\/[0-9a-f]{16}\/kind$/);
    const onHost = put("kind");
    expect(findKind(environment)).toBe(onHost);
    expect(findKind({ ...environment, KIND: process.execPath })).toBe(process.execPath);
  });
});
