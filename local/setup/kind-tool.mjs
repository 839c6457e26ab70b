/*
 * kind provides the cluster for the e2e test. Many developers have it already, so it is built only if it is missing.
 */
import { join } from "node:path";
import { findOnPath, isExecutable, moduleFolder, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";

const MODULE = new URL("kind/", TOOLS_FOLDER);

const kindFolder = (environment) => moduleFolder("kind", MODULE, environment);

/** The path of kind: that in the variable KIND, the host's, or the cached one; undefined if there is none. */
export function findKind(environment = process.env) {
  const candidates = [environment.KIND, findOnPath("kind", environment), join(kindFolder(environment), "kind")];
  return candidates.find((path) => path && isExecutable(path));
}

/** Builds kind if it is missing. A failure is printed, but is not an error. */
export async function provideKind({ environment = process.env, build = buildKind } = {}) {
  if (findKind(environment) !== undefined) return;
  try {
    await fillFolder(kindFolder(environment), build, {
      isComplete: (folder) => isExecutable(join(folder, "kind")),
    });
  } catch (error) {
    print(`could not get kind: ${error.message}`);
  }
}

async function buildKind(folder) {
  const output = join(folder, "kind");
  await buildWithGo("kind from its Go module (seconds, once)", MODULE, [{ output, commands: ["sigs.k8s.io/kind"] }]);
}
