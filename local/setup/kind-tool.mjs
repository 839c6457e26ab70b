import { join } from "node:path";
import { findOnPath, isExecutable, moduleFolder, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { tell } from "./progress.mjs";

const MODULE = new URL("kind/", TOOLS_FOLDER);

const kindFolder = (environment) => moduleFolder("kind", MODULE, environment);

/** The kind that makes the e2e's cluster: that of the variable KIND, the host's, or the cache's; else undefined. */
export function findKind(environment = process.env) {
  const candidates = [environment.KIND, findOnPath("kind", environment), join(kindFolder(environment), "kind")];
  return candidates.find((path) => path && isExecutable(path));
}

/** Builds kind where it is missing. That it cannot be built is told. */
export async function provideKind({ environment = process.env, build = buildKind } = {}) {
  if (findKind(environment) !== undefined) return;
  try {
    await fillFolder(kindFolder(environment), build, (folder) => isExecutable(join(folder, "kind")));
  } catch (error) {
    tell(`kind cannot be had: ${error.message}`);
  }
}

async function buildKind(folder) {
  const output = join(folder, "kind");
  await buildWithGo("kind from its Go module (seconds, once)", MODULE, [{ output, commands: ["sigs.k8s.io/kind"] }]);
}
