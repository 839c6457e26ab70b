import fc from "fast-check";
import { expect, test } from "vitest";
import { type BatchResult, FIRST_PACE, type Pace, steerBatch } from "../../../../src/cleanup/run/batch-size.ts";

const GOAL = { targetMs: 100, rowsPerBlock: 30 };

/** What a batch would take on a machine that reads a block in `msPerBlock` and deletes a row in `msPerRow`. */
function simulate(
  pace: Pace,
  machine: { msPerBlock: number; msPerRow: number },
  deadPerBlock: number,
): BatchResult & { blocks: number } {
  const rows = Math.round(pace.blocks * deadPerBlock);
  const elapsedMs = 1 + pace.blocks * machine.msPerBlock + rows * machine.msPerRow;
  return { blocks: pace.blocks, rows, elapsedMs };
}

test("batches settle at the target on any machine, if at least every third row is dead", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.0005, max: 0.05, noNaN: true }),
      fc.double({ min: 0.001, max: 0.05, noNaN: true }),
      fc.double({ min: 10, max: 30, noNaN: true }),
      (msPerBlock, msPerRow, deadPerBlock) => {
        let pace = FIRST_PACE;
        for (let batch = 0; batch < 30; batch += 1) {
          pace = steerBatch(pace, simulate(pace, { msPerBlock, msPerRow }, deadPerBlock), GOAL);
        }
        const { elapsedMs } = simulate(pace, { msPerBlock, msPerRow }, deadPerBlock);
        expect(elapsedMs).toBeGreaterThan(60);
        expect(elapsedMs).toBeLessThan(140);
      },
    ),
  );
});

test("a batch that comes from an empty stretch into one full of dead rows holds its locks for a bounded time", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.001, max: 0.05, noNaN: true }),
      fc.integer({ min: 1, max: 200 }),
      (msPerRow, quiet) => {
        const machine = { msPerBlock: 0.001, msPerRow };
        let pace = FIRST_PACE;
        for (let batch = 0; batch < 20; batch += 1) pace = steerBatch(pace, simulate(pace, machine, 30), GOAL);
        for (let batch = 0; batch < quiet; batch += 1) pace = steerBatch(pace, simulate(pace, machine, 0), GOAL);
        expect(simulate(pace, machine, 30).elapsedMs).toBeLessThan(5 * GOAL.targetMs);
      },
    ),
  );
});

test("sizes are whole and bounded, however long a batch took", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ elapsedMs: fc.double({ min: 0, max: 1e7, noNaN: true }), rows: fc.nat(1e7) })),
      fc.double({ min: 0, max: 300, noNaN: true }),
      (batches, rowsPerBlock) => {
        let pace = FIRST_PACE;
        for (const batch of batches) {
          const next = steerBatch(pace, batch, { targetMs: 100, rowsPerBlock });
          expect(Number.isInteger(next.blocks)).toBe(true);
          expect(next.blocks).toBeGreaterThanOrEqual(8);
          expect(next.blocks).toBeLessThanOrEqual(2 * pace.blocks);
          pace = next;
        }
      },
    ),
  );
});
