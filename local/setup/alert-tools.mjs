import { join } from "node:path";
import { isExecutable, moduleFolder, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { buildWithGo } from "./go-build.mjs";
import { tell } from "./progress.mjs";

const MODULE = new URL("promtool/", TOOLS_FOLDER);

const promtoolFolder = (environment) => moduleFolder("promtool", MODULE, environment);

/** The promtool that tests the alerts: that of the variable PROMTOOL, or the cache's; undefined where there is none. */
export function findPromtool(environment = process.env) {
  return [environment.PROMTOOL, join(promtoolFolder(environment), "promtool")].find(
    (path) => path && isExecutable(path),
  );
}

/** Builds promtool where it is missing. That it cannot be built is told, and keeps nothing else from its work. */
export async function provideAlertTools({ environment = process.env, build = buildPromtool } = {}) {
  if (findPromtool(environment) !== undefined) return;
  try {
    const isComplete = (folder) => isExecutable(join(folder, "promtool"));
    await fillFolder(promtoolFolder(environment), build, isComplete);
  } catch (error) {
    tell(`without promtool the alerts' tests are skipped: ${error.message}`);
  }
}

async function buildPromtool(folder) {
  const commands = ["github.com/prometheus/prometheus/cmd/promtool"];
  // Service discovery is nothing that a test of rules needs.
  const tags = "remove_all_sd";
  await buildWithGo("promtool from its Go module (minutes, once)", MODULE, [
    { output: join(folder, "promtool"), commands, tags },
  ]);
}
