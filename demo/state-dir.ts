import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a run keeps in its folder. The file "pid" says whose the folder is. */
const CONTENTS = ["env", "controller.log", "control-plane"];

/**
 * Makes the folder this run's own, and empties it of what an earlier run has left: its cluster would not fit the new
 * database. Throws when a run that is still at work has it.
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
      throw new Error(`${stateDir} is in use by the process ${owner}; end that one, or take another --state-dir`, {
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
