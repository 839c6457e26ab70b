import { readdirSync, readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { exportCleanupMetrics } from "../../../src/controller/metrics/cleanup.ts";
import { createMetrics } from "../../../src/controller/metrics/metrics.ts";
import { createVerifierMetrics } from "../../../src/verifier/metrics.ts";
import { readAlerts, readDashboard, readDashboardQueries } from "../../support/alerts/rules.ts";
import { NO_LEVELS } from "../verifier/levels.ts";

const DOCS = new URL("../../../docs/", import.meta.url);
const RUNBOOKS = readdirSync(new URL("runbooks/", DOCS));
const readDoc = (path: string) => readFileSync(new URL(path, DOCS), "utf8");

const ALERTS = readAlerts();

describe.each(ALERTS)("$alert", ({ alert, for: lasting, labels, annotations }) => {
  test("has a severity, a description with its figures, and a link to its runbook", () => {
    expect(alert).toMatch(/^ApiToken[A-Z]\w+$/);
    expect(lasting).toMatch(/^\d+[smh]$/);
    expect(labels).toEqual({ severity: expect.stringMatching(/^(critical|warning|info)$/) });
    expect(Object.keys(annotations).sort()).toEqual(["description", "runbook_url", "summary"]);
    expect(annotations.summary).not.toMatch(/\.$/);
    expect(annotations.description?.length).toBeGreaterThan(annotations.summary?.length ?? 0);
    expect(annotations.runbook_url).toMatch(/^docs\/runbooks\/[a-z-]+\.md$/);
    expect(RUNBOOKS).toContain(annotations.runbook_url?.replace("docs/runbooks/", ""));
  });
});

test("the alerts' names are all different", () => {
  expect(new Set(ALERTS.map(({ alert }) => alert)).size).toBe(ALERTS.length);
});

test("every alert fires in some test on figures of a real failure", () => {
  const folder = new URL("../../integration/alerts/", import.meta.url);
  const tests = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
  for (const { alert } of ALERTS) expect(tests.join(""), alert).toContain(`"${alert}"`);
});

test.each(RUNBOOKS)("the runbook %s explains the alert, and an alert or another page links to it", (file) => {
  expect(readDoc(`runbooks/${file}`)).toMatch(/\*\*What it means\.\*\*|what to do/);
  const pages = [
    "cleanup.md",
    "operations.md",
    ...RUNBOOKS.filter((other) => other !== file).map((other) => `runbooks/${other}`),
  ];
  const isAlerts = ALERTS.some(({ annotations }) => annotations.runbook_url === `docs/runbooks/${file}`);
  expect(isAlerts || pages.some((page) => readDoc(page).includes(file))).toBe(true);
});

test.each(RUNBOOKS)("the pages that the runbook %s links to exist", (file) => {
  for (const [, path = ""] of readDoc(`runbooks/${file}`).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
    expect(() => readDoc(`runbooks/${path}`)).not.toThrow();
  }
});

test("the table of alerts in docs/operations.md matches the rules", () => {
  const told = readDoc("operations.md")
    .split("\n")
    .filter((line) => /^\| `ApiToken\w+` \| (critical|warning|info) \|/.test(line));
  const ruled = ALERTS.map(({ alert, labels, annotations }) => {
    const summary = annotations.summary?.replaceAll(/ ?\(?\{\{[^}]*\}\}\)?/g, " …");
    return `| \`${alert}\` | ${labels.severity} | [${summary}](${annotations.runbook_url?.replace("docs/", "")}) |`;
  });
  expect(told).toEqual(ruled);
});

/** The labels of every metric that the controller or a verifier exports, by the names of its samples. */
function readExported(): Map<string, readonly string[]> {
  const { registry } = createMetrics({
    queueDepth: () => 0,
    busyWorkers: () => 0,
    databaseConnections: () => ({ open: 0, waiting: 0 }),
    caches: () => undefined,
    leaderFigures: () => Promise.resolve(undefined),
  });
  const cleanup = new Registry();
  exportCleanupMetrics(cleanup, { query: () => Promise.resolve([]) }, () => {});
  const verifier = createVerifierMetrics(NO_LEVELS).registry;
  const metrics = [registry, cleanup, verifier].flatMap((each) => each.getMetricsAsArray()) as unknown as {
    name: string;
    type: string;
    labelNames: string[];
  }[];
  return new Map(
    metrics.flatMap(({ name, type, labelNames }) =>
      (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((part): [string, string[]] => [
        `${name}${part}`,
        [...labelNames, "le"],
      ]),
    ),
  );
}

/** What Prometheus adds to every sample. */
const TARGET_LABELS = ["cluster", "namespace", "job", "instance", "pod"];

test("every metric and label that an alert or the dashboard uses is exported", () => {
  const exported = readExported();
  const queries = [...ALERTS.map(({ alert, expr }) => ({ panel: alert, expr })), ...readDashboardQueries()];
  for (const { panel, expr } of queries) {
    const selectors = [...expr.matchAll(/\b((?:apitoken|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)];
    expect(selectors.length + Number(expr.startsWith("ALERTS{")), panel).toBeGreaterThan(0);
    for (const [, name = "", matchers = ""] of selectors) {
      expect([...exported.keys()], panel).toContain(name);
      const labels = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label);
      expect([...TARGET_LABELS, ...(exported.get(name) ?? [])], `${panel}: ${name}`).toEqual(
        expect.arrayContaining(labels),
      );
    }
  }
});

describe("the dashboard", () => {
  const { schemaVersion, panels, templating } = readDashboard();
  const drawn = panels.filter(({ type }) => type !== "row");

  test("begins with a row that shows at a glance whether all is well", () => {
    expect(schemaVersion).toBeGreaterThanOrEqual(39);
    const first = drawn.filter(({ gridPos }) => gridPos.y === 0);
    expect(first.map(({ type }) => type)).toEqual(first.map(() => "stat"));
    expect(first.map(({ title }) => title)).toEqual([
      "All well?",
      "Ready",
      "Not ready",
      "Next expiry",
      "Last cleanup success",
      "Backlog",
      "Database",
    ]);
    expect(templating.list.map(({ name }) => name)).toEqual(["datasource", "namespace", "job"]);
  });

  test("explains every panel, and each uses the selected data source", () => {
    for (const { title, description, targets = [] } of drawn) {
      expect(description?.length, title).toBeGreaterThan(20);
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { datasource } of targets) expect(datasource.uid, title).toBe("${datasource}");
    }
  });

  test("has no overlapping panels, and none beyond its 24 columns", () => {
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });
});
