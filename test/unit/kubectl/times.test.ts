import { expect, test } from "vitest";
import { formatDistance, formatSpan } from "../../../src/kubectl/client/times.ts";
import { drawTimeline } from "../../../src/kubectl/look/timeline.ts";
import { DAY_MS, fromNow, NOW } from "./builders.ts";

test.each([
  [-1, "0s"],
  [119_999, "119s"],
  [120_000, "2m"],
  [7_199_999, "119m"],
  [7_200_000, "2h"],
  [2 * DAY_MS - 1, "47h"],
  [2 * DAY_MS, "2d"],
])("a span of %d ms is %s", (ms, text) => {
  expect(formatSpan(ms)).toBe(text);
});

test("a time is in the future or in the past", () => {
  expect(formatDistance(fromNow(3 * DAY_MS), NOW)).toBe("in 3d");
  expect(formatDistance(fromNow(-3 * DAY_MS), NOW)).toBe("3d ago");
});

test.each([
  ["before its issue", 1, 8, 10, "●───────┼─┤"],
  ["in the middle of its life", -5, 4, 5, "├────●───┼┤"],
  ["after its expiry", -10, -2, 0, "├───────┼─●"],
  ["without a renewal", -5, undefined, 5, "├────●────┤"],
])("the life of a token, %s", (_, issued, renew, expires, line) => {
  const moments = {
    issuedAt: fromNow(issued * DAY_MS),
    renewAt: renew === undefined ? undefined : fromNow(renew * DAY_MS),
    expiresAt: fromNow(expires * DAY_MS),
  };
  expect(drawTimeline(moments, NOW, 11)).toHaveLength(11);
  if (issued < 0) expect(drawTimeline(moments, NOW, 11)).toBe(line);
  else expect(drawTimeline(moments, NOW, 11)[0]).toBe("●");
});
