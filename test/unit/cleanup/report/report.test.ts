import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { formatReport } from "../../../../src/cleanup/report/report.ts";
import { aRowCounts, aRunReport, aTargetReport } from "../builders.ts";

const MIB = 2 ** 20;
const before = aRowCounts({
  total: 2_804_117,
  live: 45_821,
  expired: 2_000_000,
  revoked: 758_296,
  due: { expired: 1_990_000, revoked: 750_000 },
  oldestDeadAt: new Date("2026-02-03T04:05:06Z"),
  tableBytes: 1_434 * MIB,
});
const after = aRowCounts({
  total: 64_117,
  live: 45_821,
  expired: 10_000,
  revoked: 8_296,
  oldestDeadAt: new Date("2026-11-14T00:00:00Z"),
  tableBytes: 1_434.5 * MIB,
});
const deleted = { expired: 1_990_000, revoked: 750_000, cascaded: 0, taken: { "app.uses": 0 } };

test("a run shows the table before and after, and what was deleted", () => {
  const text = formatReport(
    aRunReport({ targets: [aTargetReport({ before, after, deleted, vacuum: "done" })] }),
    false,
  );
  expect(text).toBe(`apitoken.tokens
                        before         after       deleted
  live                  45,821        45,821
  expired            2,000,000        10,000     1,990,000
  revoked              758,296         8,296       750,000
  total              2,804,117        64,117     2,740,000
  past retention     2,740,000             0
  oldest dead       2026-02-03    2026-11-14
  size               1,434 MiB   1,434.5 MiB
  vacuum: done
succeeded after 1s200ms
`);
});

test("a dry run shows what would be deleted, and that nothing was written", () => {
  const target = aTargetReport({ before, after: undefined });
  const text = formatReport(
    aRunReport({
      isDryRun: true,
      runId: undefined,
      targets: [target],
      auditPartitions: { created: [], emptied: ["security_events_2025_01"] },
    }),
    false,
  );
  expect(text).toContain("before                   to delete");
  expect(text).toMatch(/^ {2}total +2,804,117 +2,740,000$/m);
  expect(text).toMatch(/^ {2}oldest dead +2026-02-03$/m);
  expect(text).toContain("own partitions to empty: security_events_2025_01");
  expect(text).toContain("dry run: nothing was written after");
  expect(text).not.toContain("vacuum");
});

test("how a run ended comes last, with the reason and its code", () => {
  const report = aRunReport({ outcome: "refused", code: "APITOKEN_E_TOO_MANY_ROWS", message: "Too much." });
  const reason = "Too much.\nError code: APITOKEN_E_TOO_MANY_ROWS (docs/errors.md)\n";
  expect(formatReport(report, false).endsWith(`refused after 1s200ms\n${reason}`)).toBe(true);
});

test("what was reported for a table is not repeated at the end", () => {
  const target = aTargetReport({ before, outcome: "stopped", message: "Stopped with rows left." });
  const text = formatReport(
    aRunReport({ outcome: "stopped", targets: [target], message: "Stopped with rows left." }),
    false,
  );
  expect(text.match(/Stopped with rows left/g)).toHaveLength(1);
});

test("colours change nothing but the colours", () => {
  const report = aRunReport({ targets: [aTargetReport({ before, after, deleted })] });
  const coloured = formatReport(report, true);
  expect(coloured).toContain("\u001b[32msucceeded");
  expect(stripVTControlCharacters(coloured)).toBe(formatReport(report, false));
});
