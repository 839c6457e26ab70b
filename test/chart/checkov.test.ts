import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type RenderOptions, readValueSet, runTemplate, runTool, tools } from "../support/chart/helm.ts";

/* checkov's default checks for Kubernetes, on what is rendered for a managed database and for that of the first try. */

const SKIPS = parse(readFileSync(new URL("../support/chart/checkov-skips.yaml", import.meta.url), "utf8")) as Record<
  string,
  string
>;

interface Check {
  readonly check_id: string;
  readonly check_name: string;
  readonly resource: string;
}

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apitoken-checkov-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The failed checks for what these values render. */
async function findFailures(name: "production" | "dev", options: RenderOptions = {}): Promise<Check[]> {
  const { stdout, code, stderr } = await runTemplate(parse(readValueSet(name)), options);
  expect(code, stderr).toBe(0);
  const own = join(folder, name);
  mkdirSync(own);
  writeFileSync(join(own, "rendered.yaml"), stdout);
  const { command = "", args = [] } = tools.checkov ?? {};
  const options_ = ["--directory", own, "--framework", "kubernetes", "--output", "json", "--quiet", "--compact"];
  const env = { CHECKOV_OPENAI_API_KEY: "", LOG_LEVEL: "ERROR" };
  const result = await runTool(command, [...args, ...options_, "--skip-download", "--soft-fail"], { env });
  const report = JSON.parse(result.stdout) as { results: { failed_checks: Check[] }; summary: { passed: number } };
  expect(report.summary.passed).toBeGreaterThan(100);
  return report.results.failed_checks;
}

describe.skipIf(tools.helm === undefined || tools.checkov === undefined)("checkov", () => {
  test("finds nothing that has no stated reason, and every stated reason is needed", async () => {
    const failures = [...(await findFailures("production")), ...(await findFailures("dev"))];
    const keyOf = ({ check_id, resource }: Check) => `${check_id} ${resource.split(".")[0]}`;
    const unexplained = failures.filter((failure) => !Object.hasOwn(SKIPS, keyOf(failure)));
    expect(unexplained.map(({ check_id, check_name, resource }) => `${check_id} ${resource}: ${check_name}`)).toEqual(
      [],
    );
    const found = new Set(failures.map(keyOf));
    expect(Object.keys(SKIPS).filter((key) => !found.has(key))).toEqual([]);
  }, 300_000);
});
