import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  ecosystemCrdsFolder,
  findGitOpsTools,
  gitOpsToolsFolder,
  provideGitOpsTools,
} from "../../../../local/setup/gitops-tools.mjs";

let home: string;
let environment: NodeJS.ProcessEnv;
let said: string[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "apitoken-set-up-"));
  environment = { XDG_CACHE_HOME: home };
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(home, { recursive: true, force: true });
});

const build = async (folder: string) => {
  for (const name of ["kstatus", "flux-health", "argo-lua"]) {
    writeFileSync(join(folder, name), "#!/bin/sh\n");
    chmodSync(join(folder, name), 0o755);
  }
};
const CRDS = [
  "application-crd.yaml",
  "external-secrets.io_pushsecrets.yaml",
  "kustomize.toolkit.fluxcd.io_kustomizations.yaml",
  "policies.kyverno.io_validatingpolicies.yaml",
];
const download = async (folder: string) => CRDS.forEach((file) => void writeFileSync(join(folder, file), ""));
const fails = (message: string) => () => Promise.reject(new Error(message));

test("the programs are built and the CRDs downloaded once", async () => {
  await provideGitOpsTools({ environment, build, download });
  const folder = gitOpsToolsFolder(environment);
  expect(findGitOpsTools(environment)).toEqual({
    kstatus: join(folder, "kstatus"),
    fluxHealth: join(folder, "flux-health"),
    argoLua: join(folder, "argo-lua"),
    crds: ecosystemCrdsFolder(environment),
  });
  await provideGitOpsTools({ environment, build: fails("again"), download: fails("again") });
  expect(said).toEqual([]);
});

test("without Go the tests that need them are skipped, except in CI", async () => {
  await provideGitOpsTools({ environment, build: fails("Go is not installed") });
  expect(findGitOpsTools(environment)).toBeUndefined();
  expect(said.join("")).toContain("the tests that need them are skipped: Go is not installed");
  const inCi = provideGitOpsTools({ environment: { ...environment, CI: "true" }, build: fails("Go is not installed") });
  await expect(inCi).rejects.toThrow("which CI requires: Go is not installed");
});
