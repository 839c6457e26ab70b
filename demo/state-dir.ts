/*
 * Two demos in one folder would delete each other's files. A file with the process id marks the folder as in use, and a
 * stale one does not block the next start.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a run keeps in its folder, apart from the file "pid" with its owner. */
const CONTENTS = ["env", "controller.log", "verifier.log", "keyring.json", "control-plane"];

/**
 * Claims the folder for this run, and removes what an earlier run has left, whose cluster would not match the new
 * database. Throws an Error if another run is using the folder.
 */
export function claimStateDir(stateDir: string): { release(): void } {
  mkdirSync(stateDir, { recursive: true });
  const path = join(stateDir, "pid");
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const owner = Number(readFileSync(path, "utf8"));
    if (isRunning(owner)) {
      throw new Error(`${stateDir} is in use by process ${owner}; stop it, or use another --state-dir`, {
        cause: error,
      });
    }
    writeFileSync(path, String(process.pid));
  }
  for (const name of CONTENTS) rmSync(join(stateDir, name), { recursive: true, force: true });
  return { release: () => rmSync(path, { force: true }) };
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
