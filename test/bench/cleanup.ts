/*
 * How much the safety of short transactions and an audit trail costs, compared with one DELETE that has neither.
 */
import { startPostgres } from "../../local/postgres-server.ts";
import { copyTemplate, DURABLE_SETTINGS, deleteRaw, fillTemplate, runProgram } from "./cleanup-stage.ts";
import { type Figures, median } from "./figures.ts";

const ROUNDS = 5;

/** By hand; the program with one audit row per batch; and the same with the key of each token in that row. */
const WAYS = ["raw", "summary", "rows"] as const;

/**
 * A table of which every second row is dead, scattered: rows per second of the bundled program over those of one raw
 * DELETE. Each measurement has its own copy of the same database; each round compares what ran at about the same time.
 */
export async function benchCleanup(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  try {
    tell(`filling a table with ${rows} rows`);
    await fillTemplate(postgres, "filled", rows);
    const rates = { raw: [] as number[], summary: [] as number[], rows: [] as number[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const way of WAYS) {
        const url = await copyTemplate(postgres, "filled", rows);
        const { deleted, elapsedMs } =
          way === "raw" ? await deleteRaw(url) : await runProgram(url, [], { APITOKEN_CLEANUP_AUDIT: way });
        if (deleted !== rows / 2) throw new Error(`${way} deleted ${deleted} rows, not ${rows / 2}`);
        rates[way].push(deleted / (elapsedMs / 1_000));
      }
      const shown = WAYS.map((way) => `${way} ${Math.round((rates[way].at(-1) ?? 0) / 1_000)}k`);
      tell(`round ${round + 1}, rows/s: ${shown.join(", ")}`);
    }
    const overRaw = (values: readonly number[]) =>
      median(values.map((value, round) => value / (rates.raw[round] ?? Number.NaN)));
    return {
      cleanup_raw_rows_per_second: Math.round(median(rates.raw)),
      cleanup_summary_rows_per_second: Math.round(median(rates.summary)),
      cleanup_rows_rows_per_second: Math.round(median(rates.rows)),
      cleanup_summary_over_raw: overRaw(rates.summary),
      cleanup_rows_over_raw: overRaw(rates.rows),
    };
  } finally {
    await postgres.stop();
  }
}
