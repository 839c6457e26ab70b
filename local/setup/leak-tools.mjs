/*
 * Secret scanners that the rules in leak-rules/ are tested with: gitleaks, kingfisher and detect-secrets. Optional on a developer's
 * machine, where their tests are skipped; in CI they must exist.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findOnPath, isExecutable, moduleFolder } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";
import { installPythonPackages, requirementsFolder } from "./python-packages.mjs";

const FOLDER = new URL("../leak-tools/", import.meta.url);
const GITLEAKS_MODULE = new URL("gitleaks/", FOLDER);
const KINGFISHER = new URL("kingfisher.txt", FOLDER);
const DETECT_SECRETS = new URL("detect-secrets.txt", FOLDER);

/** The cache folder of each scanner. */
export function leakToolFolders(environment = process.env) {
  const python = findOnPath("python3", environment);
  return {
    gitleaks: moduleFolder("gitleaks", GITLEAKS_MODULE, environment),
    kingfisher: requirementsFolder("kingfisher", KINGFISHER, environment),
    detectSecrets: requirementsFolder("detect-secrets", DETECT_SECRETS, environment, python),
  };
}

/** Whether a folder has its scanner. */
const IS_COMPLETE = {
  gitleaks: (folder) => isExecutable(join(folder, "gitleaks")),
  kingfisher: (folder) => isExecutable(join(folder, "kingfisher")),
  detectSecrets: (folder) => existsSync(join(folder, "detect_secrets")),
};

/**
 * The scanners; undefined if one is missing. detectSecrets is a folder for PYTHONPATH.
 * @returns {{gitleaks: string, kingfisher: string, detectSecrets: string, python: string} | undefined}
 */
export function findLeakTools(environment = process.env) {
  const folders = leakToolFolders(environment);
  const python = findOnPath("python3", environment);
  if (python === undefined || Object.entries(folders).some(([name, folder]) => !IS_COMPLETE[name](folder))) {
    return undefined;
  }
  const { gitleaks, kingfisher, detectSecrets } = folders;
  return { gitleaks: join(gitleaks, "gitleaks"), kingfisher: join(kingfisher, "kingfisher"), detectSecrets, python };
}

/** Gets what is missing. A failure is printed; in CI it is an error. */
export async function provideLeakTools({
  environment = process.env,
  build = buildGitleaks,
  install = installPythonPackages,
} = {}) {
  const fills = {
    gitleaks: build,
    kingfisher: (folder) => installKingfisher(folder, install),
    detectSecrets: (folder) => install("detect-secrets", DETECT_SECRETS, folder),
  };
  for (const [name, folder] of Object.entries(leakToolFolders(environment))) {
    if (IS_COMPLETE[name](folder)) continue;
    try {
      await fillFolder(folder, fills[name], { isComplete: IS_COMPLETE[name], parts: `the scanner ${name}` });
    } catch (error) {
      if (environment.CI === "true") throw new Error(`could not get ${name}, which CI requires: ${error.message}`);
      print(`could not get ${name}: ${error.message.split("\n")[0]}; the tests of scanners are skipped`);
    }
  }
}

async function buildGitleaks(folder) {
  const output = join(folder, "gitleaks");
  const commands = ["github.com/zricethezav/gitleaks/v8"];
  await buildWithGo("gitleaks from its Go module (a minute, once)", GITLEAKS_MODULE, [{ output, commands }]);
}

/** Of the package, only the program is kept. */
async function installKingfisher(folder, install) {
  const packages = join(folder, "packages");
  mkdirSync(packages);
  await install("kingfisher", KINGFISHER, packages);
  const program = readdirSync(packages, { recursive: true, encoding: "utf8" }).find((file) =>
    /^kingfisher\/bin\/kingfisher$/.test(file),
  );
  if (program !== undefined) renameSync(join(packages, program), join(folder, "kingfisher"));
  rmSync(packages, { recursive: true });
}
