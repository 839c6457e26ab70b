/*
 * How `keys status` shows the keyring: a table for a person, lines for a script, JSON for a program. None of them ever has
 * key material in it.
 */

import { formatTable, type Paint } from "../../runtime/terminal.ts";
import { formatCount } from "../../runtime/text.ts";
import type { KeyStatus } from "../../token/key-status.ts";
import { formatTime } from "../../token/status.ts";

const COLUMNS = ["KIND", "ID", "STATE", "ROWS", "LAST ENDS", "REMOVAL"].map((title) => ({ title }));

const STYLES = { coming: "cyan", current: "green", old: "yellow", missing: "red", kept: "green" } as const;

/** The keys as a table, for a person at a terminal. */
export function formatKeyTable(keys: readonly KeyStatus[], paint: Paint): string {
  const rows = keys.map((key) => [
    key.kind,
    key.id,
    { text: key.state, style: STYLES[key.state] },
    formatCount(key.rows),
    formatEnd(key),
    describeRemoval(key),
  ]);
  return `${formatTable({ columns: COLUMNS, rows, titleStyle: "bold" }, paint).join("\n")}\n`;
}

/** The keys as plain lines, one per key, for scripts that read lines. */
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
    case "kept":
      return "kept: names erased owners";
    case "old":
      return isRemovable ? "can be removed" : "needed by accepted tokens";
  }
}
