import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, isExecutable, TOOLS_FOLDER } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { run, startProgress, tell } from "./progress.mjs";

const MODULE = new URL("promtool/", TOOLS_FOLDER);

/** The cache's folder of promtool: another one for each platform and each version of its module. */
function promtoolFolder(environment) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(new URL(file, MODULE)));
  return join(cacheFolder(environment), "promtool", hash.digest("hex").slice(0, 16));
}

/** The promtool that tests the alerts: that of the variable PROMTOOL, or the cache's; undefined where there is none. */
export function findPromtool(environment = process.env) {
  return [environment.PROMTOOL, join(promtoolFolder(environment), "promtool")].find(
    (path) => path && isExecutable(path),
  );
}

/** Builds promtool where it is missing. That it cannot be built is told, and keeps nothing else from its work. */
export async function provideAlertTools({ environment = process.env, build = buildPromtool } = {}) {
  if (findPromtool(environment) !== undefined) return;
  const progress = startProgress("building promtool from its Go module (minutes, once)");
  try {
    const isComplete = (folder) => isExecutable(join(folder, "promtool"));
    await fillFolder(promtoolFolder(environment), build, isComplete);
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    const reason = error.code === "ENOENT" ? "Go is not installed" : error.message;
    tell(`without promtool the alerts' tests are skipped: ${reason}`);
  }
}

async function buildPromtool(folder) {
  // Service discovery is nothing that a test of rules needs.
  const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", "remove_all_sd", "-ldflags", "-s -w"];
  await run(
    "go",
    ["build", ...flags, "-o", join(folder, "promtool"), "github.com/prometheus/prometheus/cmd/promtool"],
    {
      cwd: fileURLToPath(MODULE),
      env: { ...process.env, CGO_ENABLED: "0" },
    },
  );
}
