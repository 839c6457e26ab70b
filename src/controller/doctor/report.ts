import { styleText } from "node:util";
import { stripControls } from "../../kube/resources/schema.ts";
import type { Finding } from "./finding.ts";
import type { FailedMend } from "./mend.ts";

/** What the doctor found, and did. `-o json` prints this very object. */
export interface DoctorReport {
  readonly findings: readonly Finding[];
  /** With --fix: how many differences there were, and which could not be mended. Undefined when nothing was tried. */
  readonly mended: { readonly found: number; readonly failed: readonly FailedMend[] } | undefined;
  /** Who mends what can be mended, when that is not the doctor. */
  readonly leader: string | undefined;
  readonly apiTokens: number;
}

/** How a report is laid out. */
export interface Layout {
  /** Columns of the terminal; undefined where there is none: then each difference is one line. */
  readonly width: number | undefined;
  readonly useColours: boolean;
}

type Style = Parameters<typeof styleText>[0];

/** The report for a person. */
export function formatReport(report: DoctorReport, { width, useColours }: Layout): string {
  const paint = (style: Style, text: string) => (useColours ? styleText(style, text, { validateStream: false }) : text);
  const findings = report.findings.map(clean);
  const table = width === undefined ? findings.map(formatLine) : formatTable(findings, width, paint);
  const failed = (report.mended?.failed ?? []).map(({ object, reason }) =>
    paint("red", stripControls(`not mended: ${object}: ${reason}`)),
  );
  const style = findings.length === 0 ? "green" : "yellow";
  return `${[...table, ...failed, paint(style, summarize(report))].join("\n")}\n`;
}

function clean({ kind, object, problem, remedy, ...rest }: Finding): Finding {
  return {
    ...rest,
    kind,
    object: stripControls(object),
    problem: stripControls(problem),
    remedy: stripControls(remedy),
  };
}

function formatLine({ kind, object, problem, remedy }: Finding): string {
  return `${kind}: ${object}: ${problem}. Remedy: ${remedy}.`;
}

function summarize({ findings, mended, leader, apiTokens }: DoctorReport): string {
  const looked = `${count(apiTokens, "ApiToken")} looked at`;
  const before = mended === undefined ? "" : ` of ${mended.found} before`;
  if (findings.length === 0) return `No differences${before}; ${looked}.`;
  const mendable = findings.filter(({ mend }) => mend !== undefined).length;
  const who =
    mendable === 0
      ? ""
      : leader !== undefined
        ? ` ${leader} leads: it mends ${mendable} of them, at its next pass.`
        : ` --fix mends ${mendable} of them${mended === undefined ? "" : " when it is run again"}.`;
  return `${count(findings.length, "difference")}${before}; ${looked}.${who}`;
}

function count(amount: number, what: string): string {
  return `${amount.toLocaleString("en-US")} ${what}${amount === 1 ? "" : "s"}`;
}

const GAP = "  ";
const NARROWEST = 16;
const ROOMY = 80;

/** Three columns that fill the terminal; texts are wrapped. */
function formatTable(findings: readonly Finding[], width: number, paint: (style: Style, text: string) => string) {
  if (findings.length === 0) return [];
  const longestKind = Math.max(...findings.map(({ kind }) => kind.length + 2));
  const longest = Math.max(longestKind, ...findings.map(({ object }) => object.length));
  const roomy = Math.max(Math.floor(width * 0.3), width < ROOMY ? NARROWEST : longestKind);
  const first = Math.min(longest, Math.max(NARROWEST, roomy));
  const rest = Math.max(2 * NARROWEST, width - first - 2 * GAP.length);
  const widths = [first, Math.ceil(rest / 2), Math.floor(rest / 2)];
  const styles: readonly Style[] = ["bold", "none", "cyan"];
  const heading = formatRow([["OBJECT"], ["PROBLEM"], ["REMEDY"]], widths, ["dim", "dim", "dim"], paint);
  return [
    ...heading,
    ...findings.flatMap(({ kind, object, problem, remedy }) => {
      const cells = [
        [...wrap(object, first), ...wrap(`(${kind})`, first)],
        wrap(problem, widths[1]),
        wrap(remedy, widths[2]),
      ];
      return formatRow(cells, widths, styles, paint);
    }),
  ];
}

function formatRow(
  cells: readonly (readonly string[])[],
  widths: readonly number[],
  styles: readonly Style[],
  paint: (style: Style, text: string) => string,
): string[] {
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((lines, column) => {
        const text = lines[line] ?? "";
        const painted = text === "" ? "" : paint(styles[column] ?? "none", text);
        return painted + " ".repeat(Math.max(0, (widths[column] ?? 0) - text.length));
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** Breaks a text between words, and words that are longer than a line anywhere. */
export function wrap(text: string, width = 80): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (joined.length <= width) {
      line = joined;
      continue;
    }
    if (line !== "") lines.push(line);
    line = word;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  return [...lines, line];
}
