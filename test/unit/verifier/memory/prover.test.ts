import { expect, test, vi } from "vitest";
import { createProver } from "../../../../src/verifier/memory/prover.ts";

/** Whether a promise has settled, and how, after whatever is due has been done. */
async function outcome<T>(promise: Promise<T>): Promise<T | "pending"> {
  return Promise.race([promise, new Promise<"pending">((resolve) => setImmediate(() => resolve("pending")))]);
}

test("a pulse proves what was asked before it was sent, and nothing that was asked since", async () => {
  const prover = createProver(10_000);
  const early = prover.whenProved();
  prover.beginPulse();
  const sentAtMs = performance.now();
  const late = prover.whenProved();
  prover.prove(sentAtMs);
  expect(await outcome(early)).toBe(true);
  expect(await outcome(late)).toBe("pending");
  prover.beginPulse();
  prover.prove(performance.now());
  expect(await outcome(late)).toBe(true);
});

test("a later pulse also proves what an earlier one, which was lost, would have proved", async () => {
  const prover = createProver(10_000);
  const asked = prover.whenProved();
  prover.beginPulse();
  prover.beginPulse();
  prover.prove(performance.now());
  expect(await outcome(asked)).toBe(true);
});

test("nobody waits longer than they have patience", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const prover = createProver(150);
    const asked = prover.whenProved();
    vi.advanceTimersByTime(149);
    expect(await outcome(asked)).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await outcome(asked)).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

test("a question cuts the rest between pulses short, and many questions do not make it shorter", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const prover = createProver(150);
    const rest = prover.rest(333);
    for (let count = 0; count < 1_000; count += 1) void prover.whenProved();
    vi.advanceTimersByTime(19);
    expect(await outcome(rest.then(() => "ended"))).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await outcome(rest.then(() => "ended"))).toBe("ended");
    // Asked while a pulse is on its way: the next rest is short from its beginning.
    prover.beginPulse();
    void prover.whenProved();
    vi.advanceTimersByTime(30);
    const next = prover.rest(333);
    vi.advanceTimersByTime(20);
    expect(await outcome(next.then(() => "ended"))).toBe("ended");
    // However soon the rest begins, it is not cut to nothing.
    prover.beginPulse();
    void prover.whenProved();
    const last = prover.rest(333);
    vi.advanceTimersByTime(19);
    expect(await outcome(last.then(() => "ended"))).toBe("pending");
    vi.advanceTimersByTime(1);
    expect(await outcome(last.then(() => "ended"))).toBe("ended");
  } finally {
    vi.useRealTimers();
  }
});
