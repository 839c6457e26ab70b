/*
 * A complete record of a bench run, so that tests state only the figures that they are about.
 */
import type { Figures } from "../../bench/figures.ts";
import type { BenchRecord } from "../../bench/record.ts";

const MACHINE = {
  cpus: 2,
  cpu: "Some Processor (x64)",
  memoryGib: 24,
  node: "24.21.0",
  postgres: "18.4",
  kubernetes: "v1.36.3",
};

export function aRecord(figures: Figures, rest: Partial<BenchRecord> = {}): BenchRecord {
  return { date: "2026-06-01T12:00:00.000Z", machine: MACHINE, figures, ...rest };
}
