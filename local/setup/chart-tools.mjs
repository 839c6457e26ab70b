import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, findOnPath, isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo, downloadWithGo } from "./go-build.mjs";
import { run, startProgress, tell } from "./progress.mjs";

const MODULE = new URL("../chart-tools/", import.meta.url);
const CRDS_MODULE = new URL("monitoring-crds/", MODULE);
/** The kinds of the Prometheus operator that the chart has objects of. */
const CRDS = ["podmonitors", "prometheusrules", "servicemonitors"].map((kind) => `monitoring.coreos.com_${kind}.yaml`);
const CHECKOV_VERSION = "3.3.30";

/** The cache's folder of what is built from the Go module chart-tools: helm and kubeconform. */
export function goToolsFolder(environment = process.env) {
  return moduleFolder("chart-tools", MODULE, environment);
}

/** The cache's folder of the Prometheus operator's CRDs. */
export function monitoringCrdsFolder(environment = process.env) {
  return moduleFolder("monitoring-crds", CRDS_MODULE, environment);
}

const hasAllCrds = (folder) => CRDS.every((file) => existsSync(join(folder, file)));

/** The cache's folder of checkov, a Python environment of its own. */
export function checkovFolder(environment = process.env) {
  return join(cacheFolder(environment), "checkov", `${CHECKOV_VERSION}-${process.platform}-${process.arch}`);
}

/**
 * What tests the chart, each undefined where it could not be had. HELM names another helm; monitoringCrds is a folder.
 * @returns {{helm?: string, kubeconform?: string, monitoringCrds?: string, checkov?: {command: string, args: string[]}}}
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
  return {
    ...(helm ? { helm } : {}),
    ...(kubeconform ? { kubeconform } : {}),
    ...(hasAllCrds(crds) ? { monitoringCrds: crds } : {}),
    // Not by the script beside it, which names the folder that it was installed into at first.
    ...(isExecutable(python) ? { checkov: { command: python, args: ["-m", "checkov.main"] } } : {}),
  };
}

/**
 * Gets what is missing, for the e2e helm and kubeconform alone. What cannot be had is told; tests that need it are skipped
 * then. In CI helm must be there, for without it nothing of the chart is tested.
 */
export async function provideChartTools({
  environment = process.env,
  build = buildGoTools,
  download = downloadCrds,
  install = installCheckov,
  isForE2e = false,
} = {}) {
  const { helm, kubeconform, monitoringCrds, checkov } = findChartTools(environment);
  if (!helm || !kubeconform) {
    await attempt("helm and kubeconform", environment.CI === "true" && !helm, () =>
      fillFolder(goToolsFolder(environment), build, (folder) => isExecutable(join(folder, "helm"))),
    );
  }
  if (isForE2e) return;
  if (!monitoringCrds) {
    await attempt("the CRDs of the Prometheus operator", false, () =>
      fillFolder(monitoringCrdsFolder(environment), download, hasAllCrds),
    );
  }
  if (!checkov) {
    await attempt("checkov", false, () =>
      fillFolder(checkovFolder(environment), install, (folder) => isExecutable(join(folder, "bin/python"))),
    );
  }
}

async function attempt(what, isNeeded, get) {
  try {
    await get();
  } catch (error) {
    if (isNeeded) throw new Error(`${what} cannot be had, and CI needs it: ${error.message}`);
    tell(`${what} cannot be had: ${error.message.split("\n")[0]}; tests that need it are skipped`);
  }
}

/** Much of helm is in the build cache already when the control plane was built: its k8s.io modules are the same. */
async function buildGoTools(folder) {
  const helm = /helm\.sh\/helm\/v4 (v\S+)/.exec(readFileSync(new URL("go.mod", MODULE), "utf8"))?.[1];
  const commands = ["helm.sh/helm/v4/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform"];
  await buildWithGo("helm and kubeconform from their Go modules (a minute, once)", MODULE, [
    { output: `${folder}/`, commands, stamp: `-X helm.sh/helm/v4/internal/version.version=${helm}` },
  ]);
}

/** They lie beside the operator's Go sources. */
async function downloadCrds(folder) {
  const module = "github.com/prometheus-operator/prometheus-operator";
  const sources = await downloadWithGo("the CRDs of the Prometheus operator (seconds, once)", CRDS_MODULE, module);
  for (const file of CRDS) cpSync(join(sources, "example/prometheus-operator-crd", file), join(folder, file));
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
