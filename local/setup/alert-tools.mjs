/*
 * promtool tests the alert rules with Prometheus' own engine. It takes Go and minutes to build, so it is optional:
 * without it, the alerts' tests are skipped and everything else works.
 */
import { join } from "node:path";
import { isExecutable, moduleFolder, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { print } from "./progress.mjs";

const MODULE = new URL("promtool/", TOOLS_FOLDER);

const promtoolFolder = (environment) => moduleFolder("promtool", MODULE, environment);

/** The path of promtool: that in the variable PROMTOOL, or the cached one; undefined if there is neither. */
export function findPromtool(environment = process.env) {
  return [environment.PROMTOOL, join(promtoolFolder(environment), "promtool")].find(
    (path) => path && isExecutable(path),
  );
}

/** Builds promtool if it is missing. A failure is printed, but is not an error. */
export async function provideAlertTools({ environment = process.env, build = buildPromtool } = {}) {
  if (findPromtool(environment) !== undefined) return;
  try {
    const isComplete = (folder) => isExecutable(join(folder, "promtool"));
    await fillFolder(promtoolFolder(environment), build, { isComplete });
  } catch (error) {
    print(`without promtool the alerts' tests are skipped: ${error.message}`);
  }
}

async function buildPromtool(folder) {
  const commands = ["github.com/prometheus/prometheus/cmd/promtool"];
  // Leaves out service discovery, which a test of rules does not need.
  const tags = "remove_all_sd";
  await buildWithGo("promtool from its Go module (minutes, once)", MODULE, [
    { output: join(folder, "promtool"), commands, tags },
  ]);
}
