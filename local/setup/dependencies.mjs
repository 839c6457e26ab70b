/*
 * `npm ci` before every `npm start` and `npm test` would take too long, so it runs only if the lockfile has changed. An
 * install that was killed must be noticed, too.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { npmCommand } from "./node-packages.mjs";
import { print, run, startProgress } from "./progress.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Written last, so that an interrupted install does not have it. */
const STAMP = join(ROOT, "node_modules", ".apitoken-operator-set-up");

/** Runs `npm ci` unless node_modules matches the lockfile. That also installs Node 24 (npm package "node"). */
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

/** npm's errors if another npm works in the same folder, such as that of a set-up that was killed. */
const DISTURBED = /^npm error code (ENOTEMPTY|ENOENT|EEXIST|EBUSY)$/m;
const TRIES = 5;
const PAUSE_MS = 5_000;

async function installUndisturbed() {
  const [npm, ...args] = npmCommand();
  for (let attempt = 1; ; attempt += 1) {
    try {
      await run(npm, [...args, "ci", "--no-audit", "--no-fund"], { cwd: ROOT });
      return;
    } catch (error) {
      if (attempt === TRIES || !DISTURBED.test(error.message)) throw error;
      print("another npm is writing node_modules; retrying");
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
