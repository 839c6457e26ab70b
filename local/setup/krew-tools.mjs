/*
 * krew installs plugins of kubectl from a manifest, and has a validator for manifests. Ours is tested with both. They are optional on
 * a developer's machine, where the test is skipped; in CI they must exist.
 */
import { join } from "node:path";
import { isExecutable, moduleFolder, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";

const MODULE = new URL("krew/", TOOLS_FOLDER);
const PROGRAMS = ["krew", "validate-krew-manifest"];

const isComplete = (folder) => PROGRAMS.every((program) => isExecutable(join(folder, program)));

/**
 * The paths of krew and its validator; undefined if they are not there.
 * @returns {{krew: string, validator: string} | undefined}
 */
export function findKrewTools(environment = process.env) {
  const folder = moduleFolder("krew", MODULE, environment);
  if (!isComplete(folder)) return undefined;
  return { krew: join(folder, "krew"), validator: join(folder, "validate-krew-manifest") };
}

/** Builds what is missing. A failure is printed; in CI it is an error. */
export async function provideKrewTools({ environment = process.env, build = buildKrew } = {}) {
  if (findKrewTools(environment) !== undefined) return;
  try {
    await fillFolder(moduleFolder("krew", MODULE, environment), build, { isComplete, parts: "krew and its validator" });
  } catch (error) {
    if (environment.CI === "true") throw new Error(`could not get krew, which CI requires: ${error.message}`);
    print(`could not get krew: ${error.message.split("\n")[0]}; the test of its manifest is skipped`);
  }
}

async function buildKrew(folder) {
  const builds = PROGRAMS.map((program) => ({
    output: join(folder, program),
    commands: [`sigs.k8s.io/krew/cmd/${program}`],
  }));
  await buildWithGo("krew from its Go module (seconds, once)", MODULE, builds);
}
