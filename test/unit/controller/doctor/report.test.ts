import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import type { Finding } from "../../../../src/controller/doctor/finding.ts";
import { type DoctorReport, formatReport } from "../../../../src/controller/doctor/report.ts";

const FINDING: Finding = {
  kind: "ApiTokenDiffers",
  object: "ApiToken team-a/hello",
  problem: "no Secret holds its token",
  remedy: "issue a token, and write it to the Secret",
  fix: { kind: "reconcile", key: "team-a/hello" },
};

const aReport = (overrides: Partial<DoctorReport> = {}): DoctorReport => ({
  findings: [FINDING],
  fixed: undefined,
  leader: undefined,
  apiTokens: 12_000,
  ...overrides,
});

const PLAIN = { width: undefined, useColours: false };

test("without a terminal each difference is one line without colours", () => {
  expect(formatReport(aReport(), PLAIN)).toBe(
    "ApiTokenDiffers: ApiToken team-a/hello: no Secret holds its token. Remedy: issue a token, and write it to the Secret.\n" +
      "1 difference; 12,000 ApiTokens examined. --fix fixes 1 of them.\n",
  );
  expect(formatReport(aReport({ findings: [] }), PLAIN)).toBe("No differences; 12,000 ApiTokens examined.\n");
});

test.each([60, 80, 120])("a table fits a terminal of %i columns and omits nothing", (width) => {
  const long = { ...FINDING, object: `ApiToken ${"n".repeat(70)}/hello`, problem: "word ".repeat(40).trim() };
  const text = formatReport(aReport({ findings: [FINDING, long] }), { width, useColours: true });
  const lines = stripVTControlCharacters(text).split("\n");
  expect(text).not.toBe(lines.join("\n"));
  for (const line of lines.slice(0, -2)) expect(line.length).toBeLessThanOrEqual(width);
  expect(lines.join(" ").match(/\bword\b/g)).toHaveLength(40);
  expect(lines[0]).toMatch(/^OBJECT +PROBLEM +REMEDY$/);
});

test("text from users cannot control the terminal", () => {
  const nasty = { ...FINDING, problem: "owner \u001b[2J\u0007 is blocked" };
  const text = formatReport(aReport({ findings: [nasty] }), PLAIN);
  expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
});

test("the report says who fixes the differences: the doctor, the leader, or nobody", () => {
  expect(formatReport(aReport({ leader: "pod-1" }), PLAIN)).toContain(
    "pod-1 is the leader and will fix 1 of them on its next pass.",
  );
  const { fix: _, ...lasting } = FINDING;
  const after = formatReport(
    aReport({ findings: [lasting], fixed: { found: 3, failed: [{ object: "ApiToken a/b", reason: "refused" }] } }),
    PLAIN,
  );
  expect(after).toContain("1 difference of 3 before;");
  expect(after).toContain("not fixed: ApiToken a/b: refused");
  expect(after).not.toContain("--fix");
});
