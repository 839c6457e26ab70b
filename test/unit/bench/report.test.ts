import { expect, test } from "vitest";
import { formatComparison, formatFigures } from "../../bench/report.ts";

const lines = (text: string) => text.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "));

test("a figure is shown with its bar, and one that misses it says so", () => {
  const table = lines(formatFigures({ startup_ms: 160, create_over_bare: 1.756, unknown: 3 }));
  expect(table.slice(1)).toEqual(["startup_ms 160 ≤ 300", "create_over_bare 1.76 ≤ 1.5 not reached", "unknown 3"]);
});

test("a comparison has every figure of both runs, with the change in percent", () => {
  const before = { startup_ms: 160, restart_writes: 0, gone: 1 };
  const now = { startup_ms: 200, restart_writes: 4, partition_over_raw: 1.1 };
  expect(lines(formatComparison(before, now))).toEqual([
    "figure before now change",
    "startup_ms 160 200 +25.0 % ≤ 300",
    "restart_writes 0 4 ≤ 0 not reached",
    "gone 1 -",
    "partition_over_raw - 1.10 ≤ 1.3",
  ]);
});

test("figures that did not change show no change", () => {
  expect(lines(formatComparison({ startup_ms: 160 }, { startup_ms: 160 }))[1]).toBe("startup_ms 160 160 ≤ 300");
});
