/*
 * What the integrations with other tools are tested with: kstatus, which Flux and others wait with, Flux's own health checks and
 * Argo CD's Lua interpreter, each behind a small program; and the CRDs of the tools that our samples are for. Optional on a
 * developer's machine, where their tests are skipped; in CI they must exist.
 */
import { cpSync, existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo, downloadWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";

const MODULE = new URL("../gitops-tools/", import.meta.url);
const PROGRAMS = ["kstatus", "flux-health", "argo-lua"];

const CRDS_MODULE = new URL("crds/", MODULE);
/** The CRDs that samples are checked against, by the Go module with the tool's sources. */
const CRDS = {
  "github.com/argoproj/argo-cd/v3": "manifests/crds/application-crd.yaml",
  "github.com/external-secrets/external-secrets": "config/crds/bases/external-secrets.io_pushsecrets.yaml",
  "github.com/fluxcd/kustomize-controller": "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
  "github.com/kyverno/kyverno": "config/crds/policies.kyverno.io/policies.kyverno.io_validatingpolicies.yaml",
};

/** The cache folder of the programs. */
export function gitOpsToolsFolder(environment = process.env) {
  const sources = PROGRAMS.map((name) => readFileSync(new URL(`${name}/main.go`, MODULE), "utf8"));
  return moduleFolder("gitops-tools", MODULE, environment, sources.join(""));
}

/** The cache folder of the CRDs. */
export function ecosystemCrdsFolder(environment = process.env) {
  return moduleFolder("ecosystem-crds", CRDS_MODULE, environment, Object.values(CRDS).join());
}

/**
 * The paths of the programs and the folder of the CRDs; undefined if one is missing.
 * @returns {{kstatus: string, fluxHealth: string, argoLua: string, crds: string} | undefined}
 */
export function findGitOpsTools(environment = process.env) {
  const folder = gitOpsToolsFolder(environment);
  const crds = ecosystemCrdsFolder(environment);
  if (!hasAllPrograms(folder) || !hasAllCrds(crds)) return undefined;
  const [kstatus, fluxHealth, argoLua] = PROGRAMS.map((name) => join(folder, name));
  return { kstatus, fluxHealth, argoLua, crds };
}

const hasAllPrograms = (folder) => PROGRAMS.every((name) => isExecutable(join(folder, name)));
const hasAllCrds = (folder) => Object.values(CRDS).every((path) => existsSync(join(folder, basename(path))));

/** Gets what is missing. A failure is printed; in CI it is an error. */
export async function provideGitOpsTools({
  environment = process.env,
  build = buildPrograms,
  download = downloadCrds,
} = {}) {
  const programs = gitOpsToolsFolder(environment);
  const crds = ecosystemCrdsFolder(environment);
  try {
    if (!hasAllPrograms(programs)) await fillFolder(programs, build, { isComplete: hasAllPrograms });
    if (!hasAllCrds(crds)) await fillFolder(crds, download, { isComplete: hasAllCrds, parts: "the CRDs" });
  } catch (error) {
    if (environment.CI === "true")
      throw new Error(`could not get the GitOps tools, which CI requires: ${error.message}`);
    print(`without the GitOps tools, the tests that need them are skipped: ${error.message.split("\n")[0]}`);
  }
}

async function buildPrograms(folder) {
  const commands = PROGRAMS.map((name) => `./${name}`);
  const what = "kstatus, Flux's health checks and Argo CD's Lua from their Go modules (a minute, once)";
  await buildWithGo(what, MODULE, [{ output: `${folder}/`, commands }]);
}

async function downloadCrds(folder) {
  for (const [module, path] of Object.entries(CRDS)) {
    const sources = await downloadWithGo(`a CRD from ${module} (seconds, once)`, CRDS_MODULE, module);
    cpSync(join(sources, path), join(folder, basename(path)));
  }
}
