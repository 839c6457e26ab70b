/*
 * Reads the chart's alert rules and dashboard as the chart installs them, so that the tests cannot pass on a copy.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const ROOT = new URL("../../../", import.meta.url);

/** The chart's Prometheus rules. */
export const RULES_PATH = fileURLToPath(new URL("charts/apitoken-operator/files/alerts.yaml", ROOT));
const DASHBOARD_PATH = fileURLToPath(new URL("charts/apitoken-operator/files/dashboard.json", ROOT));

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** A Prometheus duration of one unit, such as "10m". */
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function readAlerts(): AlertRule[] {
  const { groups } = parse(readFileSync(RULES_PATH, "utf8")) as { groups: { rules: AlertRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** A query of the dashboard, by the title of its panel, with Grafana's variables replaced. */
export interface DashboardQuery {
  readonly panel: string;
  readonly expr: string;
}

export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly DashboardPanel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(DASHBOARD_PATH, "utf8")) as Dashboard;
}

/** All queries of the dashboard as Grafana would send them if every variable were set to "All". */
export function readDashboardQueries(): DashboardQuery[] {
  return readDashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replaceAll(/\$(namespace|job)\b/g, ".*").replaceAll("$__rate_interval", "5m"),
    })),
  );
}
