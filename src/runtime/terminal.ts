/*
 * Colours, tables and the progress line. Only this file writes escape sequences, so there is one place that keeps them out
 * of files and pipes, and one place that respects the user's wish for colours.
 */
import type { Writable } from "node:stream";
import { stripVTControlCharacters, styleText } from "node:util";
import { measureWidth, takeColumns, wrap } from "./text.ts";

export type Style = Parameters<typeof styleText>[0];

/** Applies a style to a text, or returns it unchanged when colours are off. */
export type Paint = (style: Style, text: string) => string;

/** A stream that may be a terminal: then it has `isTTY` and `columns`, as Node's standard output and error do. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Whether to use colours on a stream. The first of these decides: `--color` (`flag`), FORCE_COLOR, NO_COLOR, and whether
 * the stream is a terminal. An empty variable counts as not set; FORCE_COLOR=0 forces colours off, as in Node.
 */
export function isColoured(
  stream: Pick<OutputStream, "isTTY">,
  environment: NodeJS.ProcessEnv,
  flag?: boolean | undefined,
): boolean {
  if (flag !== undefined) return flag;
  const { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal } = environment;
  if (forced) return forced !== "0" && forced !== "false";
  if (refused) return false;
  return stream.isTTY === true && terminal !== "dumb";
}

/** A Paint for what `isColoured` has decided. */
export function createPaint(areColoursOn: boolean): Paint {
  return (style, text) => (areColoursOn && text !== "" ? styleText(style, text, { validateStream: false }) : text);
}

export interface Column {
  readonly title: string;
  /** Default: left. */
  readonly align?: "left" | "right";
  readonly minWidth?: number;
  /** Longer texts are wrapped; without it the column is as wide as its longest text. */
  readonly maxWidth?: number;
}

export type Cell = string | { readonly text: string; readonly style: Style };

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  readonly titleStyle?: Style;
  /** Put before every line. */
  readonly indent?: string;
}

const GAP = "  ";

/** A table as lines, its titles first, two spaces between columns. Line breaks in a cell make it taller. */
export function formatTable({ columns, rows, titleStyle = "dim", indent = "" }: Table, paint: Paint): string[] {
  const titles = columns.map(({ title }): Cell => ({ text: title, style: titleStyle }));
  const grid = [titles, ...rows].map((row) =>
    columns.map(({ maxWidth }, column) => {
      const cell = row[column] ?? "";
      const { text, style } = typeof cell === "string" ? { text: cell, style: undefined } : cell;
      return { style, lines: wrap(text, maxWidth ?? Number.POSITIVE_INFINITY) };
    }),
  );
  const widths = columns.map(({ minWidth = 0 }, column) =>
    Math.max(minWidth, ...grid.flatMap((row) => (row[column]?.lines ?? []).map(measure))),
  );
  return grid.flatMap((row) => {
    const height = Math.max(...row.map(({ lines }) => lines.length));
    return Array.from({ length: height }, (_, line) => {
      const cells = row.map(({ style, lines }, column) => {
        const text = lines[line] ?? "";
        const painted = style === undefined ? text : paint(style, text);
        const space = " ".repeat(Math.max(0, (widths[column] ?? 0) - measure(text)));
        return columns[column]?.align === "right" ? space + painted : painted + space;
      });
      return `${indent}${cells.join(GAP)}`.trimEnd();
    });
  });
}

function measure(text: string): number {
  return measureWidth(stripVTControlCharacters(text));
}

const CLEAR_LINE = "\r\u001b[K";

/** The text that replaces a terminal's current line. For terminals only. */
export function replaceLine(text: string): string {
  return `${CLEAR_LINE}${text}`;
}

/** Shows how far a program has got. */
export interface ProgressLine {
  /** On a terminal the text replaces the one before; elsewhere each text gets its own line. */
  show(text: string): void;
  /** Removes the text from a terminal, so that the next output can use the line. */
  clear(): void;
}

/** A progress line on `stream`. On a terminal it is cut to fit, because a line that wraps cannot be replaced. */
export function createProgressLine(stream: OutputStream): ProgressLine {
  const isTerminal = stream.isTTY === true;
  let isShown = false;
  return {
    show(text) {
      isShown = true;
      stream.write(isTerminal ? replaceLine(cut(text, stream.columns)) : `${text}\n`);
    },
    clear() {
      if (isTerminal && isShown) stream.write(CLEAR_LINE);
      isShown = false;
    },
  };
}

/** A text that has to be cut loses its styles: half an escape sequence would affect what follows. */
function cut(text: string, columns: number | undefined): string {
  if (!columns || measure(text) < columns) return text;
  return takeColumns(stripVTControlCharacters(text), columns - 1);
}

/** Returns a function that is true at most once per interval, when progress should be shown, and never before `firstMs`. */
export function createPacer(intervalMs: number, firstMs = intervalMs): () => boolean {
  const startedAtMs = performance.now();
  let lastAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - startedAtMs < firstMs || nowMs - lastAtMs < intervalMs) return false;
    lastAtMs = nowMs;
    return true;
  };
}
