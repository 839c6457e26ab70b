import { createHash } from "node:crypto";
import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** What a control plane is made of. envtest's archive has no kube-controller-manager, so it may be missing. */
export const REQUIRED = ["kube-apiserver", "etcd", "kubectl"];
export const OPTIONAL = ["kube-controller-manager"];

export const KUBERNETES_VERSION = "v1.36.3";

export const TOOLS_FOLDER = new URL("../tools/", import.meta.url);

/** Where this project keeps what takes long to get; shared by all checkouts of it. */
export function cacheFolder(environment = process.env) {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "apitoken-operator");
}

/** The cache's folder of what is built from a Go module: another one for each platform and each version of the module. */
export function moduleFolder(name, module, environment, prefix = "") {
  const hash = createHash("sha256").update(`${prefix}${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(new URL(file, module)));
  return join(cacheFolder(environment), name, hash.digest("hex").slice(0, 16));
}

/** The cache's folder of the control plane. */
export function controlPlaneFolder(environment = process.env) {
  return moduleFolder("control-plane", TOOLS_FOLDER, environment, `${KUBERNETES_VERSION} `);
}

/** The programs of a folder by name, or undefined when one that is required is missing or cannot be run. */
export function readAssets(folder) {
  const assets = {};
  for (const name of [...REQUIRED, ...OPTIONAL]) {
    const path = join(folder, name);
    if (isExecutable(path)) assets[name] = path;
    else if (REQUIRED.includes(name)) return undefined;
  }
  return assets;
}

/** Whether there is a program that may be run. */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The host's program of that name; undefined where there is none. */
export function findOnPath(name, { PATH = "" }) {
  return PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * The control plane's programs, from KUBEBUILDER_ASSETS or the cache. Throws when the set-up has not run.
 * @returns {{"kube-apiserver": string, etcd: string, kubectl: string, "kube-controller-manager"?: string}}
 */
export function findAssets(environment = process.env) {
  const folders = [environment.KUBEBUILDER_ASSETS, controlPlaneFolder(environment)];
  for (const folder of folders) {
    const assets = folder && readAssets(folder);
    if (assets) return assets;
  }
  throw new Error('the control plane\'s programs are missing; run "node local/setup.mjs"');
}
