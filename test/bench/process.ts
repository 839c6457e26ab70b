/*
 * What the operating system says of a program that a bench has started.
 */
import { execFileSync } from "node:child_process";

/** The resident set of a process, and the CPU time that it has used, in whole seconds. */
export function readProcess(pid: number): { rssKib: number; cpuSeconds: number } {
  const [rss = "", cpu = ""] = execFileSync("ps", ["-o", "rss=,time=", "-p", String(pid)], { encoding: "utf8" })
    .trim()
    .split(/\s+/);
  const cpuSeconds = cpu.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0);
  return { rssKib: Number(rss), cpuSeconds };
}
