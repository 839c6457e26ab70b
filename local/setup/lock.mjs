/*
 * `npm start` in one terminal and `npm test` in another would install into the same folders at once. A lock file with
 * the owner's process id makes the second one wait, and does not block forever if the owner was killed.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./assets.mjs";
import { print } from "./progress.mjs";

/** Runs `work` while no other set-up of this checkout runs. A lock whose owner has died is ignored. */
export async function withLock(checkout, work) {
  const folder = join(cacheFolder(), "locks");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash("sha256").update(checkout).digest("hex").slice(0, 16));
  let hasReported = false;
  while (!tryLock(path)) {
    if (!hasReported) print("waiting for another set-up of this checkout");
    hasReported = true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  if (!isAlive(Number(readFileSync(path, "utf8")))) rmSync(path, { force: true });
  return false;
}

function isAlive(pid) {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
