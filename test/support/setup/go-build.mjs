import { fileURLToPath } from "node:url";
import { run, startProgress } from "./progress.mjs";

/**
 * Builds programs from a Go module of this project, with progress. Throws an error that says so when Go is not there.
 * @param {string} what as people are told of it, with how long it takes
 * @param {URL} module its folder
 * @param {{output: string, commands: string[], stamp?: string, tags?: string}[]} builds one after the other
 */
export async function buildWithGo(what, module, builds) {
  const progress = startProgress(`building ${what}`);
  const options = { cwd: fileURLToPath(module), env: { ...process.env, CGO_ENABLED: "0" } };
  try {
    for (const { output, commands, stamp = "", tags } of builds) {
      const flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", `-s -w ${stamp}`.trim()];
      await run("go", ["build", ...flags, ...(tags ? ["-tags", tags] : []), "-o", output, ...commands], options);
    }
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error.code === "ENOENT" ? new Error("Go is not installed") : error;
  }
}
