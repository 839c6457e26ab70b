import { expect, test, vi } from "vitest";
import { createHttpDate } from "../../../../src/verifier/server/http-date.ts";

test("the date changes with the second, and costs no timer while nobody asks", () => {
  vi.useFakeTimers({ now: new Date("2030-01-02T03:04:05.990Z") });
  try {
    const formatDate = createHttpDate();
    expect([formatDate(), formatDate()]).toEqual(Array(2).fill("Wed, 02 Jan 2030 03:04:05 GMT"));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(9);
    expect(formatDate()).toBe("Wed, 02 Jan 2030 03:04:05 GMT");
    vi.advanceTimersByTime(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(formatDate()).toBe("Wed, 02 Jan 2030 03:04:06 GMT");
    vi.setSystemTime(new Date("2029-01-02T03:04:06.000Z")); // somebody sets the clock
    vi.advanceTimersByTime(1_000);
    expect(formatDate()).toBe("Tue, 02 Jan 2029 03:04:07 GMT");
  } finally {
    vi.useRealTimers();
  }
});
