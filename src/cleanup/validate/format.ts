/*
 * What `cleanup validate` shows to a person: for each target its rows by class, those that would go first, and what was found.
 */
import { countRows } from "../../postgres/cleanup/counts.ts";
import { createPaint, formatTable, type Paint, type Style } from "../../runtime/terminal.ts";
import { formatCount, stripControls } from "../../runtime/text.ts";
import { formatFigures, formatRetention } from "../report/format.ts";
import type { CheckFinding } from "../target/finding.ts";
import type { Inspection } from "./inspect.ts";

const STYLES: Readonly<Record<CheckFinding["level"], Style>> = { error: "red", warning: "yellow", note: "dim" };

/** A key may be any text of a table. */
const KEY_WIDTH = 80;

/** The text for people. */
export function formatInspections(
  server: readonly CheckFinding[],
  targets: readonly Inspection[],
  useColours: boolean,
): string {
  const paint = createPaint(useColours);
  const show = (finding: CheckFinding) => formatFinding(finding, paint);
  const lines = [
    ...(server.length === 0 ? [] : [paint("bold", "server"), ...server.map(show)]),
    ...targets.flatMap((target) => [
      paint("bold", stripControls(target.name)),
      ...formatRows(target, paint),
      ...formatSamples(target, paint),
      ...formatPartitions(target),
      ...target.findings.map(show),
      ...formatConfirmation(target, paint),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}

function formatFinding({ level, message }: CheckFinding, paint: Paint): string {
  return `  ${paint(STYLES[level], level)}: ${stripControls(message)}`;
}

function formatRows({ name, table, counts, cascades, retention, audit, key }: Inspection, paint: Paint): string[] {
  if (counts === undefined) return [];
  const about = (value: number) => `${counts.isEstimate ? "~" : ""}${formatCount(value)}`;
  const due = (value: number) => (value === 0 ? "" : formatCount(value));
  const titles = ["", "rows", "due", "due after"];
  const rows = [
    ["live", about(counts.live)],
    ["  without an expiry", formatCount(counts.withoutExpiry)],
    ["expired", formatCount(counts.expired), due(counts.due.expired), formatRetention(retention.expiredMs)],
    ["revoked", formatCount(counts.revoked), due(counts.due.revoked), formatRetention(retention.revokedMs)],
    ["total", about(counts.total), formatCount(countRows(counts.due))],
    ["held", formatCount(counts.held)],
    ...cascades.map((cascade) => [
      `with them: ${stripControls(cascade.table)}`,
      formatCount(cascade.total),
      formatCount(cascade.rows),
    ]),
  ];
  return [
    ...(name === table ? [] : [`  table ${stripControls(table)}`]),
    ...formatFigures(titles, rows, paint),
    `  audit ${audit}; ${key.length > 0 ? `key ${stripControls(key.join(", "))}` : "no key"}`,
  ];
}

function formatSamples({ samples }: Inspection, paint: Paint): string[] {
  if (samples.length === 0) return [];
  const rows = samples.map(({ key, reason, diedAt }) => [
    key === undefined ? "(no key)" : stripControls(key),
    reason,
    diedAt === undefined ? "" : `${diedAt.replace(/\+00$/, "")} UTC`,
  ]);
  const columns = [{ title: "would go first", minWidth: 14, maxWidth: KEY_WIDTH }, { title: "is" }, { title: "since" }];
  return formatTable({ columns, rows, indent: "  " }, paint);
}

function formatPartitions({ partitions: { dropped, kept } }: Inspection): string[] {
  return [
    ...dropped.map(({ name }) => `  partition to drop: ${stripControls(name)}`),
    ...kept.map(({ name, reason }) => `  partition not dropped: ${stripControls(name)} (${stripControls(reason)})`),
  ];
}

/** On a line of its own, so that it can be copied. */
function formatConfirmation({ confirm }: Inspection, paint: Paint): string[] {
  if (confirm === undefined) return [];
  return ["  if the odd things are right, add this line to the target:", `    ${paint("bold", `confirm: ${confirm}`)}`];
}
