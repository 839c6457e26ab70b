/*
 * The chart's tests run the real helm and kubectl: neither templates nor the API server's checks can be imitated.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import { parseAllDocuments } from "yaml";
import { findChartTools } from "../../../local/setup/chart-tools.mjs";
import { CHART } from "./values-table.ts";

/** The chart's folder, as a path. */
export const CHART_PATH = fileURLToPath(CHART);

export const tools = findChartTools();

/** A program's output and exit code. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and waits for its end. Never rejects. */
export function runTool(
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const settings = { maxBuffer: 64 * 2 ** 20, env: { ...process.env, ...options.env } };
    const child = execFile(command, args, settings, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr: stderr + (error?.message ?? "") }),
    );
    child.stdin?.on("error", () => {}); // the program ended without reading its input
    child.stdin?.end(options.input ?? "");
  });
}

/** An object as the chart renders it. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: of whatever kind it is
  readonly [field: string]: any;
}

export interface RenderOptions {
  readonly namespace?: string;
  readonly release?: string;
  /** Additional options for helm. */
  readonly args?: readonly string[];
}

/** Runs `helm template` with these values. */
export function runTemplate(
  values: object,
  { namespace = "apitoken-system", release = "tokens", args = [] }: RenderOptions = {},
) {
  const all = ["template", release, CHART_PATH, "--namespace", namespace, "--values", "-", ...args];
  return runTool(tools.helm ?? "helm", all, { input: JSON.stringify(values) });
}

/** The objects that the chart renders with these values. Throws an Error if helm fails. */
export async function renderChart(values: object, options: RenderOptions = {}): Promise<Rendered[]> {
  const { code, stdout, stderr } = await runTemplate(values, options);
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** The only object of a kind or, with `name`, the object of that name. Throws an Error if there is not exactly one. */
export function findObject(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${found.length} objects are a ${kind} ${name ?? ""}`);
  return found[0];
}

/** The Deployment of a component: "controller" or "verifier". Throws unless there is exactly one. */
export function findDeployment(objects: readonly Rendered[], component: string): Rendered {
  const isPart = ({ metadata }: Rendered) => metadata.labels?.["app.kubernetes.io/component"] === component;
  return findObject(objects.filter(isPart), "Deployment");
}

/** The sets of values in the chart's folder ci/, by name. */
export const VALUE_SETS = ["dev", "production", "namespaced", "everything", "verifier"] as const;

/** The text of a set of values. */
export function readValueSet(name: (typeof VALUE_SETS)[number]): string {
  return readFileSync(new URL(`ci/${name}-values.yaml`, CHART), "utf8");
}

/** Runs `kubectl apply` on rendered objects, which may be in different namespaces. */
export function applyObjects(
  objects: readonly Rendered[],
  args: readonly string[] = [],
  kubeconfigPath?: string,
): Promise<Finished> {
  return applyText(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }), args, kubeconfigPath);
}

/** Runs `kubectl apply` on YAML or JSON, on the shared API server or that of a kubeconfig. */
export function applyText(
  input: string,
  args: readonly string[] = [],
  kubeconfigPath = inject("servers").kubeconfigPath,
): Promise<Finished> {
  const { kubectlPath } = inject("servers");
  return runTool(kubectlPath, ["--kubeconfig", kubeconfigPath, "apply", ...args, "-f", "-"], { input });
}
