/*
 * How the doctor's findings look to a person: a table that fits the terminal, or a line each where there is none. Kept
 * apart from the examination so that it can be tested without a cluster.
 */
import { createPaint, formatTable, type Paint } from "../../runtime/terminal.ts";
import { count, stripControls } from "../../runtime/text.ts";
import type { Finding } from "./finding.ts";
import type { FailedFix } from "./fix.ts";

/** What the doctor found, and did. `-o json` prints this object. */
export interface DoctorReport {
  readonly findings: readonly Finding[];
  /** With --fix: how many differences there were, and which could not be fixed. Undefined when nothing was tried. */
  readonly fixed: { readonly found: number; readonly failed: readonly FailedFix[] } | undefined;
  /** The replica that leads and so does the fixing; undefined when the doctor may do it. */
  readonly leader: string | undefined;
  readonly apiTokens: number;
}

/** How a report is laid out. */
export interface Layout {
  /** Columns of the terminal; undefined when there is no terminal, and each difference is one line. */
  readonly width: number | undefined;
  readonly useColours: boolean;
}

/** The report for a person. */
export function formatReport(report: DoctorReport, { width, useColours }: Layout): string {
  const paint = createPaint(useColours);
  const findings = report.findings.map(clean);
  const lines = width === undefined ? findings.map(formatLine) : formatFindings(findings, width, paint);
  const failed = (report.fixed?.failed ?? []).map(({ object, reason }) =>
    paint("red", stripControls(`not fixed: ${object}: ${reason}`)),
  );
  const style = findings.length === 0 ? "green" : "yellow";
  return `${[...lines, ...failed, paint(style, summarize(report))].join("\n")}\n`;
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

function summarize({ findings, fixed, leader, apiTokens }: DoctorReport): string {
  const examined = `${count(apiTokens, "ApiToken")} examined`;
  const before = fixed === undefined ? "" : ` of ${fixed.found} before`;
  if (findings.length === 0) return `No differences${before}; ${examined}.`;
  const fixable = findings.filter(({ fix }) => fix !== undefined).length;
  const who =
    fixable === 0
      ? ""
      : leader !== undefined
        ? ` ${leader} is the leader and will fix ${fixable} of them on its next pass.`
        : ` ${fixed === undefined ? "--fix" : "Running --fix again"} fixes ${fixable} of them.`;
  return `${count(findings.length, "difference")}${before}; ${examined}.${who}`;
}

const GAPS = 4;
const NARROWEST = 16;
const ROOMY = 80;

/** Three columns that fill the terminal; texts are wrapped. */
function formatFindings(findings: readonly Finding[], width: number, paint: Paint): string[] {
  if (findings.length === 0) return [];
  const longestKind = Math.max(...findings.map(({ kind }) => kind.length + 2));
  const longest = Math.max(longestKind, ...findings.map(({ object }) => object.length));
  const roomy = Math.max(Math.floor(width * 0.3), width < ROOMY ? NARROWEST : longestKind);
  const first = Math.min(longest, Math.max(NARROWEST, roomy));
  const rest = Math.max(2 * NARROWEST, width - first - GAPS);
  const columns = [
    { title: "OBJECT", maxWidth: first },
    { title: "PROBLEM", maxWidth: Math.ceil(rest / 2) },
    { title: "REMEDY", maxWidth: Math.floor(rest / 2) },
  ];
  const rows = findings.map(({ kind, object, problem, remedy }) => [
    { text: `${object}\n(${kind})`, style: "bold" as const },
    problem,
    { text: remedy, style: "cyan" as const },
  ]);
  return formatTable({ columns, rows }, paint);
}
