import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  checkovFolder,
  findChartTools,
  goToolsFolder,
  monitoringCrdsFolder,
  oldestApiFolder,
  provideChartTools,
} from "../../../../local/setup/chart-tools.mjs";
import { putProgram, useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

beforeEach(() => {
  place.environment.PATH = join(place.home, "bin");
});

const build = async (folder: string) => ["helm", "kubeconform"].forEach((name) => void putProgram(join(folder, name)));
const install = async (folder: string) => void putProgram(join(folder, "bin/python"));
const download = async (folder: string) =>
  ["podmonitors", "prometheusrules", "servicemonitors"].forEach((kind) => {
    writeFileSync(join(folder, `monitoring.coreos.com_${kind}.yaml`), "");
  });
const downloadApi = async (folder: string) => writeFileSync(join(folder, "apis__apps__v1_openapi.json"), "");
const fails = (message: string) => () => Promise.reject(new Error(message));

test("missing tools are built and installed once", async () => {
  await provideChartTools({ environment: place.environment, build, download, downloadApi, install });
  const found = findChartTools(place.environment);
  expect(found).toEqual({
    helm: join(goToolsFolder(place.environment), "helm"),
    kubeconform: join(goToolsFolder(place.environment), "kubeconform"),
    monitoringCrds: monitoringCrdsFolder(place.environment),
    oldestApi: oldestApiFolder(place.environment),
    checkov: { command: join(checkovFolder(place.environment), "bin/python"), args: ["-m", "checkov.main"] },
  });
  await provideChartTools({
    environment: place.environment,
    build: fails("again"),
    download: fails("again"),
    downloadApi: fails("again"),
    install: fails("again"),
  });
  expect(place.said).toEqual([]);
});

test("the host's programs are used, HELM first", async () => {
  const helm = putProgram(join(place.home, "bin/helm"));
  putProgram(join(place.home, "bin/kubeconform"));
  await provideChartTools({ environment: place.environment, build: fails("needless"), download, downloadApi, install });
  expect(findChartTools(place.environment).helm).toBe(helm);
  expect(findChartTools({ ...place.environment, HELM: "/opt/helm" }).helm).toBe("/opt/helm");
});

test("a tool that cannot be provided is reported, and the attempt leaves nothing behind", async () => {
  const all = {
    build: fails("Go is not installed"),
    download: fails("no module"),
    downloadApi: fails("no sources"),
    install: fails("no network"),
  };
  await provideChartTools({ environment: place.environment, ...all });
  expect(findChartTools(place.environment)).toEqual({});
  expect(place.said.join("")).toContain(
    "could not get helm and kubeconform: Go is not installed; tests that depend on it are skipped",
  );
  expect(place.said.join("")).toContain("could not get the CRDs of the Prometheus operator: no module");
  expect(place.said.join("")).toContain("could not get the API of the oldest Kubernetes: no sources");
  expect(place.said.join("")).toContain("could not get checkov: no network");
  expect(existsSync(goToolsFolder(place.environment))).toBe(false);
});

test("the e2e needs only helm", async () => {
  await provideChartTools({
    environment: place.environment,
    build,
    download: fails("no"),
    downloadApi: fails("no"),
    install: fails("no"),
    isForE2e: true,
  });
  expect(place.said).toEqual([]);
});

test("CI fails without helm", async () => {
  const all = provideChartTools({ environment: { ...place.environment, CI: "true" }, build: fails("no Go"), install });
  await expect(all).rejects.toThrow("could not get helm and kubeconform, which CI requires: no Go");
});
