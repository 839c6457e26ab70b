/*
 * The plugin as its users run it: the real kubectl finds it on the PATH and starts it.
 */
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";
import type { TestCluster } from "./cluster.ts";
import type { CommandResult } from "./commands.ts";

const SOURCES = fileURLToPath(new URL("../../src/kubectl/", import.meta.url));

/** The executables of the plugin, and the file in src/kubectl that each runs. */
const EXECUTABLES = { "kubectl-apitoken": "main.ts", "kubectl_complete-apitoken": "complete.ts" };

export interface Plugin {
  /** Runs `kubectl apitoken …` in the test's namespace. */
  run(...args: string[]): Promise<CommandResult>;
  /** Starts `kubectl apitoken …`, for commands that continue until they are stopped. */
  start(...args: string[]): RunningPlugin;
  /** The same as `run`, as another user. */
  runAs(user: string, ...args: string[]): Promise<CommandResult>;
  /** Runs kubectl itself, with the plugin on its PATH. */
  kubectl(...args: string[]): Promise<CommandResult>;
  /** The folder with the executables. */
  readonly path: string;
  /** Deletes the executables. */
  dispose(): void;
}

/** A command that continues. */
export interface RunningPlugin {
  /** What it has printed so far. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Presses Ctrl-C, and waits for its end. */
  interrupt(): Promise<CommandResult>;
}

export interface PluginOptions {
  readonly kubeconfigPath?: string;
  /** The folder with the executables, instead of some that run the sources. */
  readonly folder?: string;
}

/** Installs the plugin for one test file. */
export function installPlugin(cluster: TestCluster, options: PluginOptions = {}): Plugin {
  const folder = options.folder ?? writeExecutables();
  const env = {
    ...process.env,
    PATH: [folder, process.env.PATH].join(delimiter),
    KUBECONFIG: options.kubeconfigPath ?? cluster.kubeconfigPath,
    NO_COLOR: "1",
  };
  const start = (...args: string[]) => startProcess(inject("servers").kubectlPath, args, env);
  const kubectl = (...args: string[]) => start(...args).ended;
  const place = ["-n", cluster.namespace];
  return {
    path: folder,
    kubectl,
    start(...args) {
      const { output, ended, child } = start("apitoken", ...args, ...(takesNamespace(args) ? place : []));
      return {
        output,
        interrupt() {
          child.kill("SIGINT");
          return ended;
        },
      };
    },
    run: (...args) => kubectl("apitoken", ...args, ...(takesNamespace(args) ? place : [])),
    runAs: (user, ...args) => kubectl("apitoken", ...args, ...(takesNamespace(args) ? place : []), "--as", user),
    dispose: () => {
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function takesNamespace(args: readonly string[]): boolean {
  return args[0] !== "explain" && !args.includes("-n") && !args.includes("--help");
}

function writeExecutables(): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-kubectl-"));
  for (const [name, source] of Object.entries(EXECUTABLES)) {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${join(SOURCES, source)}' "$@"\n`);
    chmodSync(path, 0o755);
  }
  return folder;
}

function startProcess(path: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(path, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += chunk));
  child.stderr.on("data", (chunk) => (output.stderr += chunk));
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...output }));
  });
  return { child, output, ended };
}
