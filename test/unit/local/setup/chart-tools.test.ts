import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  checkovFolder,
  findChartTools,
  goToolsFolder,
  monitoringCrdsFolder,
  provideChartTools,
} from "../../../../local/setup/chart-tools.mjs";

let home: string;
let environment: NodeJS.ProcessEnv;
let said: string[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "apitoken-set-up-"));
  environment = { XDG_CACHE_HOME: home, PATH: join(home, "bin") };
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(home, { recursive: true, force: true });
});

/** Creates a program. */
function put(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
  return path;
}

const build = async (folder: string) => ["helm", "kubeconform"].forEach((name) => void put(join(folder, name)));
const install = async (folder: string) => void put(join(folder, "bin/python"));
const download = async (folder: string) =>
  ["podmonitors", "prometheusrules", "servicemonitors"].forEach((kind) => {
    writeFileSync(join(folder, `monitoring.coreos.com_${kind}.yaml`), "");
  });
const fails = (message: string) => () => Promise.reject(new Error(message));

test("missing tools are built and installed once", async () => {
  await provideChartTools({ environment, build, download, install });
  const found = findChartTools(environment);
  expect(found).toEqual({
    helm: join(goToolsFolder(environment), "helm"),
    kubeconform: join(goToolsFolder(environment), "kubeconform"),
    monitoringCrds: monitoringCrdsFolder(environment),
    checkov: { command: join(checkovFolder(environment), "bin/python"), args: ["-m", "checkov.main"] },
  });
  await provideChartTools({ environment, build: fails("again"), download: fails("again"), install: fails("again") });
  expect(said).toEqual([]);
});

test("the host's programs are used, HELM first", async () => {
  const helm = put(join(home, "bin/helm"));
  put(join(home, "bin/kubeconform"));
  await provideChartTools({ environment, build: fails("needless"), download, install });
  expect(findChartTools(environment).helm).toBe(helm);
  expect(findChartTools({ ...environment, HELM: "/opt/helm" }).helm).toBe("/opt/helm");
});

test("a tool that cannot be provided is reported, and the attempt leaves nothing behind", async () => {
  const all = { build: fails("Go is not installed"), download: fails("no module"), install: fails("no network") };
  await provideChartTools({ environment, ...all });
  expect(findChartTools(environment)).toEqual({});
  expect(said.join("")).toContain(
    "could not get helm and kubeconform: Go is not installed; tests that depend on it are skipped",
  );
  expect(said.join("")).toContain("could not get the CRDs of the Prometheus operator: no module");
  expect(said.join("")).toContain("could not get checkov: no network");
  expect(existsSync(goToolsFolder(environment))).toBe(false);
});

test("the e2e needs only helm", async () => {
  await provideChartTools({ environment, build, download: fails("no"), install: fails("no"), isForE2e: true });
  expect(said).toEqual([]);
});

test("CI fails without helm", async () => {
  const all = provideChartTools({ environment: { ...environment, CI: "true" }, build: fails("no Go"), install });
  await expect(all).rejects.toThrow("could not get helm and kubeconform, which CI requires: no Go");
});
