/*
 * Real secret scanners with the rules in leak-rules/, or those in another folder. Each takes a folder and answers with the files in
 * which it has found a token of ours.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { lintSource } from "@secretlint/core";
import { findLeakTools } from "../../local/setup/leak-tools.mjs";
import { LEAK_RULE_ID } from "../../src/token/token-string.ts";

const tools = findLeakTools();

/** Whether the scanners are available. If not, their tests are skipped with a message; with CI=true that is an error. */
export const hasLeakTools = checkTools();

function checkTools(): boolean {
  if (tools !== undefined) return true;
  const remedy = 'run "node local/setup.mjs --leaks" (it needs Go and Python 3)';
  if (process.env.CI === "true") throw new Error(`secret scanners are missing; ${remedy}`);
  process.stderr.write(`The rules for secret scanners are not tested: scanners are missing; ${remedy}\n`);
  return false;
}

/** The path of gitleaks. */
export const gitleaks = tools?.gitleaks ?? "";

/** The path of a file below leak-rules/. */
export const pathOfRules = (name: string) => new URL(`../../leak-rules/${name}`, import.meta.url).pathname;

/** Runs `use` with a folder that holds these files. */
export async function withFiles<T>(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => T | Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-leaks-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Without a variable of the caller's that changes what a scanner does. */
const run = (program: string, args: string[], options: { cwd?: string; env?: Record<string, string> } = {}): string =>
  execFileSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
    env: { PATH: process.env.PATH ?? "", HOME: tmpdir(), ...options.env },
  });

/** The scanner alone. */
export function scanWithGitleaksAlone(folder: string, rules = pathOfRules("")): string[] {
  return listFiles(reportWithGitleaks(folder, rules));
}

/** The scanner, and behind it the filter that knows the checksum. */
export function scanWithGitleaks(folder: string, rules = pathOfRules("")): string[] {
  const input = reportWithGitleaks(folder, rules);
  const { status, stdout } = spawnSync(process.execPath, [join(rules, "gitleaks-filter.mjs")], {
    input,
    encoding: "utf8",
  });
  if (/_[0-9A-Za-z]{61}/.test(stdout)) throw new Error("the filter has printed a token");
  const files = listFiles(stdout);
  if (status !== Math.min(files.length, 1)) throw new Error(`the filter ended with ${status}, and kept ${files}`);
  return files;
}

function reportWithGitleaks(folder: string, rules: string): string {
  const args = [
    "dir",
    folder,
    "--config",
    join(rules, "gitleaks.toml"),
    "--no-banner",
    "--log-level=error",
    "--exit-code=0",
  ];
  return run(tools?.gitleaks ?? "", [...args, "--report-format=json", "--report-path=-"]);
}

function listFiles(report: string): string[] {
  return (JSON.parse(report) as { RuleID: string; File: string }[])
    .filter(({ RuleID }) => RuleID === LEAK_RULE_ID)
    .map(({ File }) => basename(File));
}

export function scanWithKingfisher(folder: string, rules = pathOfRules("")): string[] {
  const quiet = ["--no-update-check", "--no-validate", "--no-dedup", "--load-builtins=false"];
  const args = ["scan", folder, "--rules-path", join(rules, "kingfisher.yml"), ...quiet, "--format=json"];
  // It ends with 200 if it has found something, and writes a summary after the findings.
  const output = runWhatMayFind(tools?.kingfisher ?? "", args);
  const { findings } = JSON.parse(output.split("\n")[0] ?? "") as { findings: { finding: { path: string } }[] };
  return findings.map(({ finding }) => basename(finding.path));
}

function runWhatMayFind(program: string, args: string[]): string {
  try {
    return run(program, args);
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout) return stdout;
    throw error;
  }
}

export function scanWithDetectSecrets(folder: string, rules = pathOfRules("")): string[] {
  const plugin = join(rules, "detect_secrets_apitoken.py");
  const args = ["-m", "detect_secrets", "scan", "--all-files", "--no-verify", "--plugin", plugin, "."];
  const env = { PYTHONPATH: tools?.detectSecrets ?? "", PYTHONDONTWRITEBYTECODE: "1" };
  const { results } = JSON.parse(run(tools?.python ?? "", args, { cwd: folder, env })) as {
    results: Record<string, { type: string }[]>;
  };
  return Object.entries(results).flatMap(([file, found]) =>
    found.filter(({ type }) => type === "API token of apitoken-operator").map(() => basename(file)),
  );
}

export async function scanWithSecretlint(folder: string, rules = pathOfRules("")): Promise<string[]> {
  const { creator } = await import(join(rules, "secretlint-rule-apitoken/index.mjs"));
  const ruleset = [{ id: "secretlint-rule-apitoken", rule: creator, options: {} }];
  const found: string[] = [];
  for (const file of readdirSync(folder)) {
    const content = readFileSync(join(folder, file), "utf8");
    const source = { filePath: join(folder, file), content, contentType: "text", ext: ".txt" } as const;
    const { messages } = await lintSource({ source, options: { config: { rules: ruleset } } });
    found.push(...messages.map(() => file));
  }
  return found;
}
