/*
 * `cleanup stats`: what the tables look like now and how they grow, so that a table that needs attention is noticed before
 * it is a problem.
 */
import { chooseCutoffs, countRows, countTarget, type RowCounts } from "../postgres/cleanup/counts.ts";
import { prepareRun } from "../postgres/cleanup/runs.ts";
import { findHistory, findTopOwners, type OwnerCount, type TargetHistory } from "../postgres/cleanup/stats.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { createPaint, formatTable, isColoured, type Paint } from "../runtime/terminal.ts";
import { formatCount, stripControls } from "../runtime/text.ts";
import { readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import type { StatsOptions } from "./options.ts";
import { formatDay, formatFigures, formatSize } from "./report/format.ts";
import { checkTargets, requireTargets } from "./target/targets.ts";

const TOP_OWNERS = 10;
const LAST_RUNS = 7;

/** An owner with this many live rows deserves a look: a client that never reuses its token causes such numbers. */
const MANY_ROWS = { least: 100, share: 0.1 } as const;

export interface TargetStats {
  readonly table: string;
  readonly counts: RowCounts;
  readonly owners: readonly OwnerCount[];
  readonly history: readonly TargetHistory[];
}

/** `cleanup stats`: prints what the tables look like now, and how they grow. Writes nothing. Returns the exit code. */
export async function runStats({ options, environment }: CommandContext<StatsOptions>): Promise<number> {
  const config = readCleanupConfig(options, environment);
  const db = await openCleanupDatabase(config);
  try {
    const stats = await db.withConnection(async (session) => {
      await prepareRun(session);
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
      options.output === "json"
        ? `${JSON.stringify({ targets: stats })}\n`
        : formatStats(stats, isColoured(process.stdout, environment, options.color)),
    );
    return EXIT.done;
  } finally {
    await db.close();
  }
}

/** Whether an owner has so many of all live rows that somebody should look. */
function hasManyRows({ live }: OwnerCount, all: Pick<RowCounts, "live">): boolean {
  return live >= MANY_ROWS.least && live > all.live * MANY_ROWS.share;
}

function formatStats(stats: readonly TargetStats[], useColours: boolean): string {
  const paint = createPaint(useColours);
  const lines = stats.flatMap(({ table, counts, owners, history }) => [
    paint("bold", stripControls(table)),
    ...formatFigures(
      ["", "rows"],
      [
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
    ),
    ...formatOwners(owners, counts, paint),
    ...formatHistory(history, counts, paint),
  ]);
  return `${lines.join("\n")}\n`;
}

function formatOwners(owners: readonly OwnerCount[], counts: RowCounts, paint: Paint): string[] {
  if (owners.length === 0) return [];
  const rows = owners.map((owner) => {
    const cells = [stripControls(owner.owner), formatCount(owner.total), formatCount(owner.live)];
    if (!hasManyRows(owner, counts)) return cells;
    return [...cells, "deserves a look"].map((text) => ({ text, style: "red" as const }));
  });
  const columns = [
    { title: "owner", minWidth: 14 },
    { title: "rows", align: "right", minWidth: 12 },
    { title: "live", align: "right", minWidth: 12 },
    { title: "" },
  ] as const;
  const rule = `an owner deserves a look from ${MANY_ROWS.least} live rows that are over ${MANY_ROWS.share * 100} % of all`;
  return [`  ${paint("dim", rule)}`, ...formatTable({ columns, rows, indent: "  " }, paint)];
}

function formatHistory(history: readonly TargetHistory[], counts: RowCounts, paint: Paint): string[] {
  const [last] = history;
  if (last === undefined) return ["  no run has looked at it yet"];
  const grown = counts.total - (last.rowsBefore - last.deleted);
  const rows = history.map(({ runId, startedAt, rowsBefore, deleted, sizeBytes, outcome }) => [
    runId,
    formatDay(startedAt),
    formatCount(rowsBefore),
    formatCount(deleted),
    formatSize(sizeBytes),
    outcome,
  ]);
  return [
    ...formatFigures(["run", "begun", "rows before", "deleted", "size", "outcome"], rows, paint),
    `  since the last run: ${grown >= 0 ? "+" : ""}${formatCount(grown)} rows`,
  ];
}
