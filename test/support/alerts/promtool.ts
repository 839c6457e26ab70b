/*
 * Whether an alert fires depends on PromQL, on time and on what the controller really exports. So the tests feed
 * scrapes of a real controller, stretched over hours, to Prometheus' own rule engine.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPromtool } from "../../../local/setup/alert-tools.mjs";
import { type AlertRule, RULES_PATH, readDashboardQueries } from "./rules.ts";
import type { Scrape } from "./scrape.ts";

const MINUTE_MS = 60_000;

/**
 * A period for which Prometheus gets the figures of one scrape. Counters do not change during it, unless `since`, an
 * earlier scrape of the same run, is given: then they grow each minute by as much as between the two scrapes.
 */
export interface Stretch {
  readonly figures: Pick<Scrape, "samples">;
  readonly minutes: number;
  readonly since?: Scrape;
}

/** Everything that a Prometheus has scraped, from the time of the first scrape. */
export interface History {
  readonly startedAt: Date;
  readonly stretches: readonly Stretch[];
}

/** A history of several stretches. `at` is the time of the first scrape. */
export function history(at: Date, ...stretches: readonly Stretch[]): History {
  return { startedAt: at, stretches };
}

/** A history with the figures of one scrape for this many minutes. */
export function lasting(scrape: Scrape, minutes: number): History {
  return history(scrape.at, { figures: scrape, minutes });
}

/**
 * Whether promtool is available. If not, the tests that need it are skipped with a message; with CI=true that is an
 * error.
 */
export const hasPromtool = checkPromtool();

function checkPromtool(): boolean {
  if (findPromtool() !== undefined) return true;
  const remedy = 'run "node local/setup.mjs --alerts" (it needs Go), or set PROMTOOL to a promtool of 3.9 or later';
  if (process.env.CI === "true") throw new Error(`promtool is missing; ${remedy}`);
  process.stderr.write(`The alerts are not tested: promtool is missing; ${remedy}\n`);
  return false;
}

/** Replays a history in Prometheus' rule engine, and expects exactly these alerts to fire at its end. */
export function expectFiring(past: History, alerts: readonly string[]): Promise<void> {
  return test(past, {
    promql_expr_test: [
      {
        expr: 'group by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: `${lengthOf(past)}m`,
        exp_samples: alerts.map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
      },
    ],
  });
}

/** Expects an alert to fire at the end of a history for exactly these tables. */
export function expectTables(past: History, alert: string, tables: readonly string[]): Promise<void> {
  const exp_samples = tables.map((table) => ({ labels: `{table="${table}"}`, value: 1 }));
  const expr = `group by (table) (ALERTS{alertname="${alert}",alertstate="firing"})`;
  return test(past, { promql_expr_test: [{ expr, eval_time: `${lengthOf(past)}m`, exp_samples }] });
}

/** Expects an alert to fire once at the end of a history, with these labels next to its own and with these texts. */
export function expectSaid(
  past: History,
  rule: AlertRule,
  labels: Readonly<Record<string, string>>,
  said: { summary: string; description: string },
): Promise<void> {
  const target = { namespace: "apitokens", job: "controller" };
  const annotations = { ...said, runbook_url: rule.annotations.runbook_url };
  return test(past, {
    alert_rule_test: [
      {
        eval_time: `${lengthOf(past)}m`,
        alertname: rule.alert,
        exp_alerts: [{ exp_labels: { ...rule.labels, ...target, ...labels }, exp_annotations: annotations }],
      },
    ],
  });
}

/** Expects a panel of the dashboard to show one value at the end of a history. */
export function expectShown(past: History, panel: string, value: number): Promise<void> {
  const query = readDashboardQueries().find((each) => each.panel === panel);
  const exp_samples = [{ labels: "{}", value }];
  return test(past, { promql_expr_test: [{ expr: query?.expr, eval_time: `${lengthOf(past)}m`, exp_samples }] });
}

/** Has promtool check rules; rejects with its output. The file may be JSON, because JSON is YAML. */
export async function checkRules(rules: object): Promise<void> {
  await withFile(rules, (path) => run(["check", "rules", path]));
}

function test({ startedAt, stretches }: History, tests: object): Promise<void> {
  // Long histories are sampled every four minutes, because a sample stays valid for five.
  const step = lengthOf({ startedAt, stretches }) > 600 ? 4 : 1;
  const content = {
    rule_files: [RULES_PATH],
    evaluation_interval: `${step}m`,
    tests: [
      {
        interval: `${step}m`,
        start_timestamp: new Date(Math.floor(startedAt.getTime() / MINUTE_MS) * MINUTE_MS).toISOString(),
        input_series: formatSeries(stretches, step),
        ...tests,
      },
    ],
  };
  return withFile(content, (path) => run(["test", "rules", path]));
}

/** The last minute of a history, when the alerts are evaluated. */
function lengthOf({ stretches }: History): number {
  return stretches.reduce((sum, { minutes }) => sum + minutes, 0) - 1;
}

/**
 * Formats series in promtool's notation: "3x4" is 3 and four more, "1+2x3" is 1 3 5 7, "_x5" is five missing samples.
 */
function formatSeries(stretches: readonly Stretch[], step: number): { series: string; values: string }[] {
  const names = new Set(stretches.flatMap(({ figures }) => [...figures.samples.keys()]));
  return [...names].map((series) => ({
    series,
    values: stretches
      .map(({ figures, minutes, since }) => {
        const times = Math.ceil(minutes / step);
        const value = figures.samples.get(series);
        if (value === undefined) return `_x${times}`;
        const before = /^\w+_(total|bucket|sum|count)\{/.test(series) ? since?.samples.get(series) : undefined;
        return `${value}+${before === undefined ? 0 : value - before}x${times - 1}`;
      })
      .join(" "),
  }));
}

async function withFile(content: object, use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-rules-"));
  try {
    const path = join(folder, "test.json");
    writeFileSync(path, JSON.stringify(content));
    await use(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(findPromtool() ?? "promtool", [...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`promtool ${args[0]}:\n${stdout}${stderr}`));
    });
  });
}
