/*
 * The time until --help is printed is what the size of a bundle and its imports cost, at each start of each program.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Figures, median, time } from "./figures.ts";

const RUNS = 7;

/** How long the bundled programs take to print their help, including the start of the process: the slower of the two. */
export async function benchStartup(tell: (text: string) => void): Promise<Figures> {
  const medians: number[] = [];
  for (const program of ["controller", "cleanup"]) {
    const path = fileURLToPath(new URL(`../../dist/${program}.js`, import.meta.url));
    const times: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      times.push(
        await time(async () => {
          const { status } = spawnSync(process.execPath, [path, "--help"]);
          if (status !== 0) throw new Error(`${program} --help ended with ${status}`);
        }),
      );
    }
    medians.push(median(times));
    tell(`${program} --help: ${median(times).toFixed(0)} ms`);
  }
  return { startup_ms: Math.round(Math.max(...medians)) };
}
