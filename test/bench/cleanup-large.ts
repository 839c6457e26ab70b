/*
 * A cleanup that is fast on a million rows may still slow down, or need more memory, as the table grows.
 */
import { startPostgres } from "../../local/postgres-server.ts";
import { copyTemplate, DURABLE_SETTINGS, fillTemplate, runProgram } from "./cleanup-stage.ts";
import { type Figures, median } from "./figures.ts";

const ROUNDS = 3;

/** What a deleted row costs in a table of five times the size, and whether the program's memory grows with it. */
export async function benchCleanupLarge(tell: (text: string) => void, rows = 5_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: { ...DURABLE_SETTINGS, shared_buffers: "6GB" } });
  try {
    const sizes = { small: rows / 5, large: rows };
    for (const [name, size] of Object.entries(sizes)) {
      tell(`filling a table with ${size} rows`);
      await fillTemplate(postgres, name, size);
    }
    const ratios: number[] = [];
    const peaks: number[] = [];
    const growths: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const microseconds: Record<string, number> = {};
      for (const [name, size] of Object.entries(sizes)) {
        const url = await copyTemplate(postgres, name, size);
        const { deleted, elapsedMs, rssMib, rssGrowthMib } = await runProgram(url, [], {});
        if (deleted !== size / 2) throw new Error(`${deleted} rows were deleted, not ${size / 2}`);
        microseconds[name] = (elapsedMs * 1_000) / deleted;
        peaks.push(rssMib);
        if (name === "large") growths.push(rssGrowthMib);
      }
      const { small = Number.NaN, large = Number.NaN } = microseconds;
      ratios.push(large / small);
      tell(
        `round ${round + 1}: ${small.toFixed(2)} µs a row of 1, ${large.toFixed(2)} µs of 5; RSS ${Math.round(peaks.at(-1) ?? 0)} MiB`,
      );
    }
    return {
      cleanup_large_over_small: median(ratios),
      cleanup_rss_mib: Math.round(Math.max(...peaks)),
      cleanup_rss_growth_mib: Math.round(median(growths)),
    };
  } finally {
    await postgres.stop();
  }
}
