import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, TOOLS_FOLDER } from "./assets.mjs";
import { run, startProgress, tell } from "./progress.mjs";

/**
 * Programs that some tests ask and that come as Go modules: each has a module of its own in the tools' folder. Without
 * Go they cannot be had; the tests that want them say so then.
 */
const TOOLS = {
  promtool: {
    command: "github.com/prometheus/prometheus/cmd/promtool",
    tags: "remove_all_sd", // service discovery is nothing that a test of rules needs
  },
};

/** Where the cache has a tool: another place for each platform and each version of its module. */
function pathOf(name, environment) {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}`);
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(new URL(`${name}/${file}`, TOOLS_FOLDER)));
  return join(cacheFolder(environment), "tools", `${name}-${hash.digest("hex").slice(0, 16)}`, name);
}

/** The tool's path: that of the environment variable with its name in capitals, such as PROMTOOL, or the cache's. */
export function findTool(name, environment = process.env) {
  return [environment[name.toUpperCase()], pathOf(name, environment)].find((path) => path && isExecutable(path));
}

/**
 * Builds the tools that are missing. One that cannot be built is told of, and keeps nothing else from its work.
 * @param {{environment?: object, build?: Function}} options to be replaced in tests
 */
export async function provideTools({ environment = process.env, build = buildFromModule } = {}) {
  for (const [name, tool] of Object.entries(TOOLS)) {
    if (findTool(name, environment) !== undefined) continue;
    const progress = startProgress(`building ${name} from its Go module (minutes, once)`);
    try {
      await fillPlace(pathOf(name, environment), (folder) => build(folder, name, tool));
      progress.end("done");
    } catch (error) {
      progress.end("failed");
      const reason = error.code === "ENOENT" ? "Go is not installed" : error.message;
      tell(`without ${name} some tests are skipped: ${reason}`);
    }
  }
}

/** By way of a temporary folder beside the wanted one: whoever looks sees a whole program, or none. */
async function fillPlace(path, fill) {
  const folder = dirname(path);
  mkdirSync(dirname(folder), { recursive: true });
  const temporary = mkdtempSync(`${folder}.tmp-`);
  try {
    await fill(temporary);
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function buildFromModule(folder, name, { command, tags }) {
  const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", tags, "-ldflags", "-s -w"];
  await run("go", ["build", ...flags, "-o", join(folder, name), command], {
    cwd: fileURLToPath(new URL(`${name}/`, TOOLS_FOLDER)),
    env: { ...process.env, CGO_ENABLED: "0" },
  });
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
