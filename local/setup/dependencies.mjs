import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, startProgress, tell } from "./progress.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Written last: an install that was interrupted has none. */
const STAMP = join(ROOT, "node_modules", ".apitoken-operator-set-up");

/** `npm ci`, unless node_modules is what the lockfile says already. Node 24 comes with it (npm package "node"). */
export async function installDependencies() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .update(`${process.platform} ${process.arch}`)
    .digest("hex");
  if (readStamp() === wanted) return;

  const progress = startProgress("npm ci");
  try {
    await installUndisturbed();
    writeFileSync(STAMP, wanted);
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw new Error(`the dependencies could not be installed: ${error.message}`);
  }
}

/** What npm fails with when another npm is at work in the same folder: that of a set-up which was killed, say. */
const DISTURBED = /^npm error code (ENOTEMPTY|ENOENT|EEXIST|EBUSY)$/m;
const TRIES = 5;
const PAUSE_MS = 5_000;

async function installUndisturbed() {
  // Within an npm script the npm that runs it; its CLI is a JavaScript file.
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"];
  for (let attempt = 1; ; attempt += 1) {
    try {
      await run(npm[0], [...npm.slice(1), "ci", "--no-audit", "--no-fund"], { cwd: ROOT });
      return;
    } catch (error) {
      if (attempt === TRIES || !DISTURBED.test(error.message)) throw error;
      tell("node_modules is being written by somebody else; trying again");
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

function readStamp() {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return undefined;
  }
}
