/*
 * What the integrations with other tools are tested with: kstatus, which Flux and others wait with, Flux's own health checks and
 * Argo CD's Lua interpreter, each behind a small program; kube-state-metrics; the CRDs of the tools that our samples are for, and
 * Backstage's own check of templates. Optional on a developer's machine, where their tests are skipped; in CI they must exist.
 */
import { copyFileSync, cpSync, existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo, downloadWithGo } from "./go-build.mjs";
import { installNodePackages, lockfileFolder } from "./node-packages.mjs";
import { print } from "./progress.mjs";

const MODULE = new URL("../gitops-tools/", import.meta.url);
const OWN_PROGRAMS = ["kstatus", "flux-health", "argo-lua"];
const PROGRAMS = [...OWN_PROGRAMS, "kube-state-metrics"];

const CRDS_MODULE = new URL("crds/", MODULE);
/** The CRDs that samples are checked against, by the Go module with the tool's sources. */
const CRDS = {
  "github.com/argoproj/argo-cd/v3": ["manifests/crds/application-crd.yaml"],
  "github.com/cloudnative-pg/cloudnative-pg": ["config/crd/bases/postgresql.cnpg.io_clusters.yaml"],
  "github.com/crossplane/crossplane/v2": [
    "cluster/crds/apiextensions.crossplane.io_compositeresourcedefinitions.yaml",
    "cluster/crds/apiextensions.crossplane.io_compositions.yaml",
  ],
  "github.com/external-secrets/external-secrets": ["config/crds/bases/external-secrets.io_pushsecrets.yaml"],
  "github.com/fluxcd/helm-controller": ["config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"],
  "github.com/fluxcd/kustomize-controller": ["config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"],
  "github.com/fluxcd/source-controller": ["config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml"],
  "github.com/kyverno/kyverno": ["config/crds/policies.kyverno.io/policies.kyverno.io_validatingpolicies.yaml"],
};

const BACKSTAGE = new URL("backstage/", MODULE);
const TEMPLATE_CHECK = "node_modules/@backstage/plugin-scaffolder-common/dist/index.cjs.js";

/** The cache folder of the programs. */
export function gitOpsToolsFolder(environment = process.env) {
  const sources = OWN_PROGRAMS.map((name) => readFileSync(new URL(`${name}/main.go`, MODULE), "utf8"));
  return moduleFolder("gitops-tools", MODULE, environment, sources.join(""));
}

/** The cache folder of the CRDs. */
export function ecosystemCrdsFolder(environment = process.env) {
  return moduleFolder("ecosystem-crds", CRDS_MODULE, environment, Object.values(CRDS).join());
}

/** The cache folder of Backstage's check. */
export function backstageFolder(environment = process.env) {
  return lockfileFolder("backstage", BACKSTAGE, environment);
}

/**
 * The paths of the programs, the folder of the CRDs, and the module with Backstage's check; undefined if one is missing.
 * @returns {{kstatus: string, fluxHealth: string, argoLua: string, kubeStateMetrics: string, crds: string, backstage: string} |
 * undefined}
 */
export function findGitOpsTools(environment = process.env) {
  const folder = gitOpsToolsFolder(environment);
  const crds = ecosystemCrdsFolder(environment);
  const backstage = backstageFolder(environment);
  if (!hasAllPrograms(folder) || !hasAllCrds(crds) || !hasCheck(backstage)) return undefined;
  const [kstatus, fluxHealth, argoLua, kubeStateMetrics] = PROGRAMS.map((name) => join(folder, name));
  return { kstatus, fluxHealth, argoLua, kubeStateMetrics, crds, backstage: join(backstage, TEMPLATE_CHECK) };
}

const hasAllPrograms = (folder) => PROGRAMS.every((name) => isExecutable(join(folder, name)));
const hasAllCrds = (folder) =>
  Object.values(CRDS)
    .flat()
    .every((path) => existsSync(join(folder, basename(path))));
const hasCheck = (folder) => existsSync(join(folder, TEMPLATE_CHECK));

/** Gets what is missing. A failure is printed; in CI it is an error. */
export async function provideGitOpsTools({
  environment = process.env,
  build = buildPrograms,
  download = downloadCrds,
  install = installBackstage,
} = {}) {
  const fills = [
    [gitOpsToolsFolder(environment), build, { isComplete: hasAllPrograms }],
    [ecosystemCrdsFolder(environment), download, { isComplete: hasAllCrds, parts: "the CRDs" }],
    [backstageFolder(environment), install, { isComplete: hasCheck, parts: "the packages" }],
  ];
  try {
    for (const [folder, fill, wanted] of fills) {
      if (!wanted.isComplete(folder)) await fillFolder(folder, fill, wanted);
    }
  } catch (error) {
    if (environment.CI === "true")
      throw new Error(`could not get the GitOps tools, which CI requires: ${error.message}`);
    print(`without the GitOps tools, the tests that need them are skipped: ${error.message.split("\n")[0]}`);
  }
}

/** In one call, because they share the packages of Kubernetes. */
async function buildPrograms(folder) {
  const commands = [...OWN_PROGRAMS.map((name) => `./${name}`), "k8s.io/kube-state-metrics/v2"];
  const what =
    "kstatus, Flux's health checks, Argo CD's Lua and kube-state-metrics from their Go modules (minutes, once)";
  await buildWithGo(what, MODULE, [{ output: `${folder}/`, commands }]);
}

async function downloadCrds(folder) {
  for (const [module, paths] of Object.entries(CRDS)) {
    const sources = await downloadWithGo(`CRDs from ${module} (seconds, once)`, CRDS_MODULE, module);
    for (const path of paths) cpSync(join(sources, path), join(folder, basename(path)));
  }
}

async function installBackstage(folder) {
  for (const file of ["package.json", "package-lock.json"]) {
    copyFileSync(fileURLToPath(new URL(file, BACKSTAGE)), join(folder, file));
  }
  await installNodePackages("Backstage's check of templates", folder);
}
