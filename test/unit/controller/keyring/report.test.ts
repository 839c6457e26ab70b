import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { formatKeyLines, formatKeyTable } from "../../../../src/controller/keyring/report.ts";
import { createPaint } from "../../../../src/runtime/terminal.ts";
import type { KeyStatus } from "../../../../src/token/key-status.ts";

const KEYS: readonly KeyStatus[] = [
  {
    kind: "pepper",
    id: "p1",
    state: "old",
    activeFrom: undefined,
    rows: 12_000,
    lastEndsAt: new Date("2026-12-01T00:00:00Z"),
    isRemovable: false,
  },
  {
    kind: "pepper",
    id: "p2",
    state: "current",
    activeFrom: undefined,
    rows: 0,
    lastEndsAt: undefined,
    isRemovable: false,
  },
];

test("a person gets a table, with the state in colour if colours are on", () => {
  const plain = formatKeyTable(KEYS, createPaint(false));
  expect(plain).toBe(`KIND    ID  STATE    ROWS    LAST ENDS             REMOVAL
pepper  p1  old      12,000  2026-12-01T00:00:00Z  needed by accepted tokens
pepper  p2  current  0       -                     in use for new rows
`);
  const coloured = formatKeyTable(KEYS, createPaint(true));
  expect(coloured).toContain("\u001b[33mold\u001b[39m");
  expect(stripVTControlCharacters(coloured)).toBe(plain);
});

test("a script gets one line per key, with plain numbers", () => {
  expect(formatKeyLines(KEYS).split("\n")[0]).toBe(
    "pepper p1 old rows=12000 last-ends=2026-12-01T00:00:00Z needed by accepted tokens",
  );
});
