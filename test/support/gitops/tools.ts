/*
 * The real programs that judge our resources and samples: kstatus, Flux's health checks, Argo CD's Lua interpreter and
 * kube-state-metrics, and what Backstage checks and renders templates with.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findGitOpsTools } from "../../../local/setup/gitops-tools.mjs";
import type { TestCluster } from "../cluster.ts";

const tools = findGitOpsTools();

/** Whether the programs are available. If not, their tests are skipped with a message; with CI=true that is an error. */
export const hasGitOpsTools = checkTools();

function checkTools(): boolean {
  if (tools !== undefined) return true;
  const remedy = 'run "node local/setup.mjs --gitops" (it needs Go)';
  if (process.env.CI === "true") throw new Error(`the GitOps tools are missing; ${remedy}`);
  process.stderr.write(`The GitOps integrations are not tested: their tools are missing; ${remedy}\n`);
  return false;
}

/** What kstatus makes of a resource. */
export interface KstatusResult {
  readonly status: string;
  readonly message: string;
}

/** What kstatus makes of each of these resources. */
export function askKstatus(resources: readonly object[]): KstatusResult[] {
  return run(tools?.kstatus, [], resources) as KstatusResult[];
}

/** The expressions with which a Flux Kustomization judges the resources of a kind. */
export interface HealthCheckExprs {
  readonly current: string;
  readonly inProgress?: string;
  readonly failed?: string;
}

/** What Flux makes of each of these resources with expressions of the user's own: words of kstatus. */
export function askFlux(exprs: HealthCheckExprs, objects: readonly object[]): string[] {
  return run(tools?.fluxHealth, [], { exprs, objects }) as string[];
}

/** Installs the CRDs of the tools that samples are for. */
export async function installEcosystemCrds(cluster: TestCluster): Promise<void> {
  const folder = tools?.crds ?? "";
  for (const args of [
    ["apply", "--server-side", "-f", folder],
    ["wait", "--for=condition=Established", "-f", folder],
  ]) {
    const { code, output } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(output);
  }
}

/** The path of kube-state-metrics. */
export const kubeStateMetrics = tools?.kubeStateMetrics ?? "";

/** Checks a Template as Backstage's catalog does. Rejects with the fault. */
export async function checkInBackstage(template: object): Promise<boolean> {
  return readBackstage("@backstage/plugin-scaffolder-common").templateEntityV1beta3Validator.check(template);
}

/** Renders a text with the engine of Backstage's scaffolder. */
export function renderInBackstage(text: string, context: object): string {
  return readBackstage("nunjitsu").createTemplateRenderer().render(text, context);
}

// biome-ignore lint/suspicious/noExplicitAny: packages that are not the project's own have no types here
function readBackstage(name: string): any {
  return createRequire(tools?.backstage ?? "")(name);
}

/** What a Lua script returns for each of these resources in Argo CD. */
export function runInArgo(script: string, resources: readonly object[]): unknown[] {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-lua-"));
  try {
    const path = join(folder, "script.lua");
    writeFileSync(path, script);
    return run(tools?.argoLua, [path], resources);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(program: string | undefined, args: string[], input: object): unknown[] {
  if (program === undefined) throw new Error("the program is missing");
  return JSON.parse(execFileSync(program, args, { input: JSON.stringify(input), encoding: "utf8" }));
}
