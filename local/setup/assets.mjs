/*
 * Where tools are looked for and cached. All checkouts share one cache, because building a control plane takes minutes;
 * the folders' names contain a hash of what they were built from, so that versions do not get mixed up.
 */
import { createHash } from "node:crypto";
import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** The programs of a control plane. envtest's archive lacks kube-controller-manager, so that one is optional. */
export const REQUIRED = ["kube-apiserver", "etcd", "kubectl"];
export const OPTIONAL = ["kube-controller-manager"];

export const KUBERNETES_VERSION = "v1.36.3";

export const TOOLS_FOLDER = new URL("../tools/", import.meta.url);

/** The folder for what takes long to get, shared by all checkouts of this project. */
export function cacheFolder(environment = process.env) {
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "apitoken-operator");
}

/** The cache folder for what is built from a Go module. Each platform and each version of the module has its own. */
export function moduleFolder(name, module, environment, prefix = "") {
  const hash = createHash("sha256").update(`${prefix}${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(new URL(file, module)));
  return join(cacheFolder(environment), name, hash.digest("hex").slice(0, 16));
}

/** The cache folder of the control plane. */
export function controlPlaneFolder(environment = process.env) {
  return moduleFolder("control-plane", TOOLS_FOLDER, environment, `${KUBERNETES_VERSION} `);
}

/** The paths of a folder's programs by name; undefined if a required one is missing or not executable. */
export function readAssets(folder) {
  const assets = {};
  for (const name of [...REQUIRED, ...OPTIONAL]) {
    const path = join(folder, name);
    if (isExecutable(path)) assets[name] = path;
    else if (REQUIRED.includes(name)) return undefined;
  }
  return assets;
}

/** Whether the path is an executable file. */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path of a program of that name on the PATH; undefined if there is none. */
export function findOnPath(name, { PATH = "" }) {
  return PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * The paths of the control plane's programs, from KUBEBUILDER_ASSETS or the cache. Throws if the set-up has not run.
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
