import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import {
  backstageFolder,
  ecosystemCrdsFolder,
  findGitOpsTools,
  gitOpsToolsFolder,
  provideGitOpsTools,
} from "../../../../local/setup/gitops-tools.mjs";
import { useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

const build = async (folder: string) => {
  for (const name of ["kstatus", "flux-health", "argo-lua", "kube-state-metrics"]) {
    writeFileSync(join(folder, name), "#!/bin/sh\n");
    chmodSync(join(folder, name), 0o755);
  }
};
const CRDS = [
  "application-crd.yaml",
  "apiextensions.crossplane.io_compositeresourcedefinitions.yaml",
  "apiextensions.crossplane.io_compositions.yaml",
  "postgresql.cnpg.io_clusters.yaml",
  "helm.toolkit.fluxcd.io_helmreleases.yaml",
  "source.toolkit.fluxcd.io_ocirepositories.yaml",
  "external-secrets.io_pushsecrets.yaml",
  "kustomize.toolkit.fluxcd.io_kustomizations.yaml",
  "policies.kyverno.io_validatingpolicies.yaml",
];
const download = async (folder: string) => CRDS.forEach((file) => void writeFileSync(join(folder, file), ""));
const CHECK = "node_modules/@backstage/plugin-scaffolder-common/dist/index.cjs.js";
const install = async (folder: string) => {
  mkdirSync(dirname(join(folder, CHECK)), { recursive: true });
  writeFileSync(join(folder, CHECK), "");
};
const fails = (message: string) => () => Promise.reject(new Error(message));

test("the programs are built and the CRDs downloaded once", async () => {
  await provideGitOpsTools({ environment: place.environment, build, download, install });
  const folder = gitOpsToolsFolder(place.environment);
  expect(findGitOpsTools(place.environment)).toEqual({
    kstatus: join(folder, "kstatus"),
    fluxHealth: join(folder, "flux-health"),
    argoLua: join(folder, "argo-lua"),
    kubeStateMetrics: join(folder, "kube-state-metrics"),
    crds: ecosystemCrdsFolder(place.environment),
    backstage: join(backstageFolder(place.environment), CHECK),
  });
  const again = fails("again");
  await provideGitOpsTools({ environment: place.environment, build: again, download: again, install: again });
  expect(place.said).toEqual([]);
});

test("without Go the tests that need them are skipped, except in CI", async () => {
  await provideGitOpsTools({ environment: place.environment, build: fails("Go is not installed") });
  expect(findGitOpsTools(place.environment)).toBeUndefined();
  expect(place.said.join("")).toContain("the tests that need them are skipped: Go is not installed");
  const inCi = provideGitOpsTools({
    environment: { ...place.environment, CI: "true" },
    build: fails("Go is not installed"),
  });
  await expect(inCi).rejects.toThrow("which CI requires: Go is not installed");
});
