/*
 * Some tools are distributed only as source. Building them from Go modules with a checked-in go.sum pins their versions
 * and hashes without our having to trust a download.
 */
import { fileURLToPath } from "node:url";
import { run, startProgress } from "./progress.mjs";

/**
 * Builds programs from a Go module of this project and shows progress. Throws an Error if Go is not installed.
 * @param {string} what what to show as being built, including how long it takes
 * @param {URL} module its folder
 * @param {{output: string, commands: string[], stamp?: string, tags?: string}[]} builds one after the other
 */
export async function buildWithGo(what, module, builds) {
  await withGo(`building ${what}`, module, async (go) => {
    for (const { output, commands, stamp = "", tags } of builds) {
      const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", `-s -w ${stamp}`.trim()];
      await go("build", ...flags, ...(tags ? ["-tags", tags] : []), "-o", output, ...commands);
    }
  });
}

/**
 * Downloads the sources of a module that a Go module of this project requires, checked against go.sum. Throws like
 * buildWithGo.
 * @param {string} path the required module's
 * @returns {Promise<string>} the folder that they are in, read-only
 */
export async function downloadWithGo(what, module, path) {
  return withGo(`downloading ${what}`, module, async (go) => {
    await go("mod", "download", path);
    return (await go("list", "-m", "-f", "{{.Dir}}", path)).trim().split("\n").at(-1);
  });
}

async function withGo(what, module, work) {
  const progress = startProgress(what);
  const options = { cwd: fileURLToPath(module), env: { ...process.env, CGO_ENABLED: "0" } };
  try {
    const result = await work((...args) => run("go", args, options));
    progress.end("done");
    return result;
  } catch (error) {
    progress.end("failed");
    throw error.code === "ENOENT" ? new Error("Go is not installed") : error;
  }
}
