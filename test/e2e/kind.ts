#!/usr/bin/env node
/*
 * `npm run e2e:kind`: the e2e for everybody who has docker and nothing else.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findAssets, findOnPath } from "../../local/setup/assets.mjs";
import { findChartTools } from "../../local/setup/chart-tools.mjs";
import { findKind } from "../../local/setup/kind-tool.mjs";
import { type Command, explainMissing, type Found, planKind } from "./kind-plan.ts";
import { step } from "./programs.ts";

const HELP = `The e2e on its own cluster in docker: creates it with kind, builds and loads the images, and removes it again.

Usage: npm run e2e:kind -- [options of the e2e: npm run e2e -- --help]

Needs docker. kind and helm are built with Go if they are missing. KIND, HELM and KUBECTL set other paths.
With --keep the cluster is kept.
`;

const NAME = "apitoken-e2e";
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

function findDocker(): Found["docker"] {
  const { error, status } = spawnSync("docker", ["version"], { stdio: "ignore" });
  if (error !== undefined) return "missing";
  return status === 0 ? "ready" : "silent";
}

function findKubectl(): string | undefined {
  const given = process.env.KUBECTL ?? findOnPath("kubectl", process.env);
  if (given !== undefined) return given;
  try {
    return findAssets().kubectl; // exists where the tests have run
  } catch {
    return undefined;
  }
}

/** Runs a command in the terminal; resolves with its exit code. A signal ends only it: this program has to clean up. */
function runInTerminal([program, ...args]: Command, env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env } });
    const pass = (signal: NodeJS.Signals) => void child.kill(signal);
    for (const signal of SIGNALS) process.on(signal, pass);
    child.once("error", (error) => reject(new Error(`cannot run ${program}`, { cause: error })));
    child.once("close", (code) => {
      for (const signal of SIGNALS) process.off(signal, pass);
      resolve(code ?? 1);
    });
  });
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(HELP);
    return 0;
  }
  const found: Found = { docker: findDocker(), kind: findKind(), kubectl: findKubectl(), helm: findChartTools().helm };
  const faults = explainMissing(found);
  if (found.kind === undefined || found.kubectl === undefined || faults.length > 0) {
    process.stderr.write(`e2e:kind cannot run here:\n${faults.map((fault) => `  - ${fault}\n`).join("")}`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), "apitoken-kind-"));
  const kubeconfig = join(folder, "kubeconfig");
  const e2e: Command = [process.execPath, fileURLToPath(new URL("main.ts", import.meta.url))];
  const { steps, remove } = planKind({ kind: found.kind, name: NAME, kubeconfig, e2e, args });
  const env = { KUBECONFIG: kubeconfig, KUBECTL: found.kubectl };
  try {
    for (const { title, command } of steps) {
      step(title);
      const code = await runInTerminal(command, env);
      if (code !== 0) return code;
    }
    return 0;
  } finally {
    if (args.includes("--keep")) step(`the cluster is kept: export KUBECONFIG=${kubeconfig}`);
    else {
      step("remove the cluster");
      await runInTerminal(remove, env);
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

process.exitCode = await main(process.argv.slice(2));
