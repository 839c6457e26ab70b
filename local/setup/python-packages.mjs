/*
 * Some programs are distributed as packages of PyPI. pip checks each of them against the hashes that are checked in.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "./assets.mjs";
import { run, startProgress } from "./progress.mjs";

/**
 * The cache folder for what is installed from a file of requirements. Each platform and each version of the file has
 * its own.
 */
export function requirementsFolder(name, requirements, environment, prefix = "") {
  const hash = createHash("sha256").update(`${prefix}${process.platform} ${process.arch}`);
  hash.update(readFileSync(requirements));
  return join(cacheFolder(environment), name, hash.digest("hex").slice(0, 16));
}

/**
 * Installs packages into a folder and shows progress. Throws an Error if Python 3 is not installed, or if there is no
 * package for this platform.
 * @param {string} what what to show as being installed
 * @param {URL} requirements a file that names all packages with their hashes, also those that others depend on
 */
export async function installPythonPackages(what, requirements, folder) {
  const progress = startProgress(`installing ${what} (seconds, once)`);
  const temporary = mkdtempSync(join(tmpdir(), "apitoken-pip-"));
  try {
    const options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"];
    const python = await findPip(temporary);
    const from = ["--require-hashes", "--requirement", fileURLToPath(requirements)];
    await run(python, ["-m", "pip", "install", ...options, "--target", folder, ...from]);
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error.code === "ENOENT" ? new Error("Python 3 is not installed") : error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** A Python with pip: the host's, or if that lacks it, as Debian's does, one in a virtual environment. */
async function findPip(temporary) {
  const host = "python3";
  try {
    await run(host, ["-m", "pip", "--version"]);
    return host;
  } catch (error) {
    if (error.code === "ENOENT") throw error;
    await run(host, ["-m", "venv", temporary]);
    return join(temporary, "bin/python");
  }
}
