import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTerminalProgress } from "../../../../src/cleanup/run/progress.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("a terminal shows a bar, the rate and the time left, on one line that disappears at the end", () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  const progress = createTerminalProgress(terminal, false, "apitoken.tokens", 400_000);
  vi.advanceTimersByTime(2_000);
  progress.update(0.25, 100_000);
  progress.update(0.26, 104_000); // too soon after the previous one to be shown
  progress.end();
  expect(String(terminal.read())).toBe(
    "\r\u001b[Kapitoken.tokens ██████░░░░░░░░░░░░░░░░░░ 25 % · 100,000 of 400,000 rows · 50,000 rows/s · 6s left\r\u001b[K",
  );
});
