/*
 * Packages of npm that only some tests need are not among the project's own: whoever starts the tour should not have to install
 * them. npm checks each of them against the hashes in a lockfile that is checked in.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./assets.mjs";
import { run, startProgress } from "./progress.mjs";

/** The command that runs npm: inside an npm script, the npm that runs it, which is a JavaScript file. */
export function npmCommand(environment = process.env) {
  return environment.npm_execpath ? [process.execPath, environment.npm_execpath] : ["npm"];
}

/** The cache folder for what is installed from a folder with a lockfile. Each version of it has its own. */
export function lockfileFolder(name, folder, environment) {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(new URL(file, folder)));
  return join(cacheFolder(environment), name, hash.digest("hex").slice(0, 16));
}

/**
 * Installs the packages of a folder's lockfile into the folder and shows progress.
 * @param {string} what what to show as being installed
 */
export async function installNodePackages(what, folder) {
  const progress = startProgress(`installing ${what} (seconds, once)`);
  try {
    const [command, ...args] = npmCommand();
    await run(command, [...args, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: folder,
    });
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error;
  }
}
