import { styleText } from "node:util";
import { chooseCutoffs, countRows, countTarget, type RowCounts } from "../postgres/cleanup/counts.ts";
import { prepareSession } from "../postgres/cleanup/runs.ts";
import { findHistory, findTopOwners, type OwnerCount, type TargetHistory } from "../postgres/cleanup/stats.ts";
import { requireSchema } from "../postgres/migrations.ts";
import { EXIT_DONE } from "../runtime/program.ts";
import type { CleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./run.ts";
import { formatCount, formatDay, formatName, formatSize, formatTable, type Paint } from "./table.ts";
import { checkTargets, requireTargets } from "./targets.ts";

const TOP_OWNERS = 10;
const LAST_RUNS = 7;

/** From so many live tokens of one owner on somebody should look: a client that never reuses its token looks so. */
export const RED_LINES = { liveRows: 100, share: 0.1 } as const;

export interface TargetStats {
  readonly table: string;
  readonly counts: RowCounts;
  readonly owners: readonly OwnerCount[];
  readonly history: readonly TargetHistory[];
}

/** Prints what the tables look like now, and how they grow. Writes nothing. Returns the exit code. */
export async function printStats(config: CleanupConfig, useColours: boolean): Promise<number> {
  const db = await openCleanupDatabase(config);
  try {
    const stats = await db.withConnection(async (session) => {
      await prepareSession(session);
      await requireSchema(session);
      const all: TargetStats[] = [];
      for (const target of requireTargets(await checkTargets(session, config))) {
        const cutoffs = await chooseCutoffs(session, target.retention);
        all.push({
          table: target.name,
          counts: await countTarget(session, target, cutoffs),
          owners: await findTopOwners(session, target, cutoffs.now, TOP_OWNERS),
          history: await findHistory(session, target.name, LAST_RUNS),
        });
      }
      return all;
    });
    process.stdout.write(
      config.output === "json" ? `${JSON.stringify({ targets: stats })}\n` : formatStats(stats, useColours),
    );
    return EXIT_DONE;
  } finally {
    await db.close();
  }
}

/** Whether an owner has so many live rows that somebody should look. */
export function isOverRedLine({ live }: OwnerCount, { live: liveRows }: Pick<RowCounts, "live">): boolean {
  return live >= RED_LINES.liveRows && live > liveRows * RED_LINES.share;
}

export function formatStats(stats: readonly TargetStats[], useColours: boolean): string {
  const paint: Paint = (style, text) => (useColours ? styleText(style, text, { validateStream: false }) : text);
  const lines = stats.flatMap(({ table, counts, owners, history }) => [
    paint("bold", table),
    ...formatTable(
      [
        ["", "rows"],
        ["live", `${counts.isEstimate ? "~" : ""}${formatCount(counts.live)}`],
        ["expired", formatCount(counts.expired)],
        ["revoked", formatCount(counts.revoked)],
        ["total", `${counts.isEstimate ? "~" : ""}${formatCount(counts.total)}`],
        ["past retention", formatCount(countRows(counts.due))],
        ["oldest dead", formatDay(counts.oldestDeadAt)],
        ["table", formatSize(counts.tableBytes)],
        ["indexes", formatSize(counts.indexBytes)],
        ["dead tuples", formatCount(counts.deadTuples)],
        ["last vacuum", formatDay(counts.vacuumedAt)],
      ],
      paint,
      "total",
    ),
    ...formatOwners(owners, counts, paint),
    ...formatHistory(history, counts, paint),
  ]);
  return `${lines.join("\n")}\n`;
}

function formatOwners(owners: readonly OwnerCount[], counts: RowCounts, paint: Paint): string[] {
  if (owners.length === 0) return [];
  const rows = [
    ["owner", "rows", "live", ""],
    ...owners.map(({ owner, total, live }) => [formatName(owner), formatCount(total), formatCount(live), ""]),
  ];
  const table = formatTable(rows, paint).map((line, index) => {
    const owner = owners[index - 1];
    return owner !== undefined && isOverRedLine(owner, counts) ? paint("red", `${line}  over the red line`) : line;
  });
  return [
    `  ${paint("dim", `red line: ${RED_LINES.liveRows} live rows and ${RED_LINES.share * 100} % of all live ones`)}`,
    ...table,
  ];
}

function formatHistory(history: readonly TargetHistory[], counts: RowCounts, paint: Paint): string[] {
  const [last] = history;
  if (last === undefined) return ["  no run has looked at it yet"];
  const grown = counts.total - (last.rowsBefore - last.deleted);
  const rows = [
    ["run", "begun", "rows before", "deleted", "size", "outcome"],
    ...history.map(({ runId, startedAt, rowsBefore, deleted, sizeBytes, outcome }) => [
      runId,
      formatDay(startedAt),
      formatCount(rowsBefore),
      formatCount(deleted),
      formatSize(sizeBytes),
      outcome,
    ]),
  ];
  return [...formatTable(rows, paint), `  since the last run: ${grown >= 0 ? "+" : ""}${formatCount(grown)} rows`];
}
