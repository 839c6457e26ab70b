import { expect, test } from "vitest";
import { formatComparison, formatFigures } from "../../bench/report.ts";
import { aRecord } from "./builders.ts";

const lines = (text: string) => text.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "));

test("a figure is shown with its target, and a missed target is marked", () => {
  expect(lines(formatFigures(aRecord({ startup_ms: 160, create_over_bare: 1.756, unknown: 3 })))).toEqual([
    "on 2 cores of Some Processor (x64), 24 GiB, Node 24.21.0, Postgres 18.4, Kubernetes v1.36.3",
    "startup_ms 160 ≤ 300",
    "create_over_bare 1.76 ≤ 1.5 not reached",
    "unknown 3",
  ]);
});

test("a comparison has every figure of both runs, with the change in percent", () => {
  const before = aRecord({ startup_ms: 160, restart_writes: 0, gone: 1 });
  const now = aRecord({ startup_ms: 200, restart_writes: 4, partition_over_raw: 1.1 });
  expect(lines(formatComparison(before, now))).toEqual([
    "compared with the run of 2026-06-01",
    "figure before now change",
    "startup_ms 160 200 +25.0 % ≤ 300",
    "restart_writes 0 4 ≤ 0 not reached",
    "gone 1 -",
    "partition_over_raw - 1.10 ≤ 1.3",
  ]);
});

test("figures that did not change show no change", () => {
  const same = aRecord({ startup_ms: 160 });
  expect(lines(formatComparison(same, same)).at(-1)).toBe("startup_ms 160 160 ≤ 300");
});

test("a comparison with another machine names that machine", () => {
  const now = aRecord({ startup_ms: 160 });
  const before = aRecord({ startup_ms: 80 }, { machine: { ...now.machine, cpus: 8 } });
  expect(lines(formatComparison(before, now)).slice(0, 2)).toEqual([
    "compared with the run of 2026-06-01, which was on another machine or other versions:",
    "8 cores of Some Processor (x64), 24 GiB, Node 24.21.0, Postgres 18.4, Kubernetes v1.36.3",
  ]);
});
