import { expect, test } from "vitest";
import { nameInstance } from "../../../../src/cleanup/report/publish.ts";
import { findStaleInstances } from "../../../../src/cleanup/report/pushgateway.ts";

test("groups of ours that are two weeks old are stale; younger ones and those of others are not", () => {
  const now = new Date("2026-11-21T00:00:00Z");
  const group = (labels: Record<string, string>, days: number) => ({
    labels,
    push_time_seconds: { metrics: [{ value: `${(now.getTime() - days * 86_400_000) / 1_000}` }] },
  });
  const data = [
    group({ job: "apitoken_cleanup", instance: "old:db" }, 15),
    group({ job: "apitoken_cleanup", instance: "new:db" }, 13),
    group({ job: "backup", instance: "old:db" }, 100),
    group({ job: "apitoken_cleanup", instance: "old:db", zone: "a" }, 100),
    { labels: { job: "apitoken_cleanup", instance: "no-time" } },
  ];
  expect(findStaleInstances({ data }, now)).toEqual(["old:db"]);
});

test.each([
  ["postgres://cleanup:secret@db.internal:5432/tokens", "db.internal:5432:tokens"],
  ["postgres://cleanup:secret@db/a%2Fb", "db:a_b"],
])("an instance is named only after host and database", (url, name) => {
  expect(nameInstance(url)).toBe(name);
});
