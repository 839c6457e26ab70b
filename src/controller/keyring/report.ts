import { styleText } from "node:util";
import type { KeyStatus } from "../../token/key-status.ts";
import { formatTime } from "../../token/status.ts";

const HEADER = ["KIND", "ID", "STATE", "ROWS", "LAST ENDS", "REMOVAL"];

const STYLES = { coming: "cyan", current: "green", old: "yellow", missing: "red" } as const;

/** The keys as a table, for a person at a terminal. */
export function formatKeyTable(keys: readonly KeyStatus[]): string {
  const rows = keys.map((key) => [key.kind, key.id, key.state, String(key.rows), formatEnd(key), describeRemoval(key)]);
  const widths = HEADER.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const format = (cells: readonly string[], paint: (cell: string, column: number) => string) =>
    cells
      .map((cell, column) => paint(column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0), column))
      .join("  ");
  const style = (name: Parameters<typeof styleText>[0], text: string) =>
    styleText(name, text, { validateStream: false });
  const lines = keys.map((key, index) =>
    format(rows[index] ?? [], (cell, column) => (column === 2 ? style(STYLES[key.state], cell) : cell)),
  );
  return `${[format(HEADER, (cell) => style("bold", cell)), ...lines].join("\n")}\n`;
}

/** The keys as plain lines, one for each, for whatever reads lines. */
export function formatKeyLines(keys: readonly KeyStatus[]): string {
  return keys
    .map(
      (key) =>
        `${key.kind} ${key.id} ${key.state} rows=${key.rows} last-ends=${formatEnd(key)} ${describeRemoval(key)}\n`,
    )
    .join("");
}

/** The keys as one JSON array; times are RFC 3339. */
export function formatKeyJson(keys: readonly KeyStatus[]): string {
  return `${JSON.stringify(
    keys.map(({ kind, id, state, activeFrom, rows, lastEndsAt, isRemovable }) => ({
      kind,
      id,
      state,
      ...(activeFrom && { activeFrom: formatTime(activeFrom) }),
      rows,
      ...(lastEndsAt && { lastEndsAt: formatTime(lastEndsAt) }),
      isRemovable,
    })),
    undefined,
    2,
  )}\n`;
}

function formatEnd({ lastEndsAt }: KeyStatus): string {
  return lastEndsAt === undefined ? "-" : formatTime(lastEndsAt);
}

function describeRemoval({ state, activeFrom, isRemovable }: KeyStatus): string {
  switch (state) {
    case "coming":
      return `takes over at ${activeFrom ? formatTime(activeFrom) : "-"}`;
    case "current":
      return "in use for new rows";
    case "missing":
      return "NOT IN THE KEYRING: restore its Secret from a backup";
    case "old":
      return isRemovable ? "can be removed" : "needed by live rows";
  }
}
