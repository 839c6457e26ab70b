/*
 * The tools that test the chart: helm, kubeconform, the CRDs of the Prometheus operator, the API of the oldest Kubernetes that the
 * chart is for, and checkov. Each is optional on a developer's machine, where its tests are skipped; only in CI must helm exist.
 */
import { copyFileSync, cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, findOnPath, isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo, downloadWithGo } from "./go-build.mjs";
import { print, run, startProgress } from "./progress.mjs";

const MODULE = new URL("../chart-tools/", import.meta.url);
const CRDS_MODULE = new URL("monitoring-crds/", MODULE);
/** The CRDs of the Prometheus operator for the kinds that the chart uses. */
const CRDS = ["podmonitors", "prometheusrules", "servicemonitors"].map((kind) => `monitoring.coreos.com_${kind}.yaml`);
const OLDEST_MODULE = new URL("oldest-kubernetes/", MODULE);
const CHECKOV_VERSION = "3.3.30";

/** The cache folder for what is built from the Go module chart-tools: helm and kubeconform. */
export function goToolsFolder(environment = process.env) {
  return moduleFolder("chart-tools", MODULE, environment);
}

/** The cache folder of the Prometheus operator's CRDs. */
export function monitoringCrdsFolder(environment = process.env) {
  return moduleFolder("monitoring-crds", CRDS_MODULE, environment);
}

/** The cache folder of the OpenAPI documents of the oldest Kubernetes. */
export function oldestApiFolder(environment = process.env) {
  return moduleFolder("oldest-kubernetes", OLDEST_MODULE, environment);
}

const hasApi = (folder) => existsSync(join(folder, "apis__apps__v1_openapi.json"));
const hasAllCrds = (folder) => CRDS.every((file) => existsSync(join(folder, file)));

/** The cache folder of checkov: a Python virtual environment. */
export function checkovFolder(environment = process.env) {
  return join(cacheFolder(environment), "checkov", `${CHECKOV_VERSION}-${process.platform}-${process.arch}`);
}

/**
 * The paths of the tools; those that are missing are left out. The variable HELM overrides helm's path. monitoringCrds
 * and oldestApi are folders. @returns {{helm?: string, kubeconform?: string, monitoringCrds?: string, oldestApi?: string, checkov?:
 * {command: string, args: string[]}}}
 */
export function findChartTools(environment = process.env) {
  const built = (name) => {
    const path = join(goToolsFolder(environment), name);
    return isExecutable(path) ? path : undefined;
  };
  const python = join(checkovFolder(environment), "bin/python");
  const helm = environment.HELM || built("helm") || findOnPath("helm", environment);
  const kubeconform = built("kubeconform") || findOnPath("kubeconform", environment);
  const crds = monitoringCrdsFolder(environment);
  const oldestApi = oldestApiFolder(environment);
  return {
    ...(helm ? { helm } : {}),
    ...(kubeconform ? { kubeconform } : {}),
    ...(hasAllCrds(crds) ? { monitoringCrds: crds } : {}),
    ...(hasApi(oldestApi) ? { oldestApi } : {}),
    // Not the script next to it, which refers to the temporary folder that it was installed into.
    ...(isExecutable(python) ? { checkov: { command: python, args: ["-m", "checkov.main"] } } : {}),
  };
}

/**
 * Gets the tools that are missing; for the e2e, only helm and kubeconform. A failure is printed, and the tests that
 * need the tool are skipped. In CI a missing helm is an error, because then nothing of the chart would be tested.
 */
export async function provideChartTools({
  environment = process.env,
  build = buildGoTools,
  download = downloadCrds,
  downloadApi = downloadOldestApi,
  install = installCheckov,
  isForE2e = false,
} = {}) {
  const { helm, kubeconform, monitoringCrds, oldestApi, checkov } = findChartTools(environment);
  if (!helm || !kubeconform) {
    await attempt("helm and kubeconform", environment.CI === "true" && !helm, () =>
      fillFolder(goToolsFolder(environment), build, { isComplete: (folder) => isExecutable(join(folder, "helm")) }),
    );
  }
  if (isForE2e) return;
  if (!monitoringCrds) {
    await attempt("the CRDs of the Prometheus operator", false, () =>
      fillFolder(monitoringCrdsFolder(environment), download, { isComplete: hasAllCrds }),
    );
  }
  if (!oldestApi) {
    await attempt("the API of the oldest Kubernetes", false, () =>
      fillFolder(oldestApiFolder(environment), downloadApi, { isComplete: hasApi, parts: "its documents" }),
    );
  }
  if (!checkov) {
    await attempt("checkov", false, () =>
      fillFolder(checkovFolder(environment), install, {
        isComplete: (folder) => isExecutable(join(folder, "bin/python")),
      }),
    );
  }
}

async function attempt(what, isNeeded, get) {
  try {
    await get();
  } catch (error) {
    if (isNeeded) throw new Error(`could not get ${what}, which CI requires: ${error.message}`);
    print(`could not get ${what}: ${error.message.split("\n")[0]}; tests that depend on it are skipped`);
  }
}

/**
 * Fast if the control plane was built before: helm uses the same k8s.io modules, which are then in Go's build cache.
 */
async function buildGoTools(folder) {
  const helm = /helm\.sh\/helm\/v4 (v\S+)/.exec(readFileSync(new URL("go.mod", MODULE), "utf8"))?.[1];
  const commands = ["helm.sh/helm/v4/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform"];
  await buildWithGo("helm and kubeconform from their Go modules (a minute, once)", MODULE, [
    { output: `${folder}/`, commands, stamp: `-X helm.sh/helm/v4/internal/version.version=${helm}` },
  ]);
}

/** The CRDs are part of the module with the operator's Go sources. */
async function downloadCrds(folder) {
  const module = "github.com/prometheus-operator/prometheus-operator";
  const sources = await downloadWithGo("the CRDs of the Prometheus operator (seconds, once)", CRDS_MODULE, module);
  for (const file of CRDS) cpSync(join(sources, "example/prometheus-operator-crd", file), join(folder, file));
}

/** The documents are part of Kubernetes' own module. */
async function downloadOldestApi(folder) {
  const what = "the API of the oldest Kubernetes (seconds, once)";
  const sources = await downloadWithGo(what, OLDEST_MODULE, "k8s.io/kubernetes");
  const documents = join(sources, "api/openapi-spec/v3");
  for (const file of readdirSync(documents)) copyFileSync(join(documents, file), join(folder, file));
}

async function installCheckov(folder) {
  const progress = startProgress(`installing checkov ${CHECKOV_VERSION} (a minute, once)`);
  try {
    await run("python3", ["-m", "venv", folder]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"];
    await run(join(folder, "bin/python"), [...pip, `checkov==${CHECKOV_VERSION}`]);
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error.code === "ENOENT" ? new Error("Python 3 is not installed") : error;
  }
}
