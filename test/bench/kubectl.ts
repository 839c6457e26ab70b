/*
 * The plugin is used in the moment in which something is wrong, by somebody who waits for it: with 10,000 ApiTokens it must still
 * answer at once, and start at once.
 */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { type Figures, median, time } from "./figures.ts";
import { type BenchStage, runMany, startBenchStage } from "./stage.ts";

const COUNT = 10_000;
const RUNS = 7;
const PLUGIN = fileURLToPath(new URL("../../dist/kubectl-apitoken.cjs", import.meta.url));
const COMPLETION = fileURLToPath(new URL("../../dist/kubectl_complete-apitoken.cjs", import.meta.url));

/** How long `status` and `check` take with 10,000 ApiTokens, the plugin's start, and the size of its files. */
export async function benchKubectl(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    // Before what takes a minute or two.
    runPlugin(stage, ["--help"]);
    tell(`creating ${COUNT} ApiTokens`);
    await fill(stage, tell);
    const run = async (...args: string[]) => {
      const times: number[] = [];
      for (let index = 0; index < RUNS; index += 1) times.push(await time(async () => runPlugin(stage, args)));
      tell(`${args.join(" ")}: ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
      return Math.round(median(times));
    };
    return {
      kubectl_startup_ms: await run("--help"),
      kubectl_status_ms: await run("status", "-A"),
      kubectl_status_one_ms: await run("status", "t-5000", "-n", "watched"),
      kubectl_status_id_ms: await run("status", "000000005000"),
      kubectl_check_ms: await run("check"),
      kubectl_list_ms: await run("list", "-A"),
      kubectl_bytes: Math.max(...[PLUGIN, COMPLETION].map((path) => statSync(path).size)),
    };
  } finally {
    await stage.stop();
  }
}

function runPlugin({ controlPlane }: BenchStage, args: readonly string[]): void {
  const env = { ...process.env, KUBECONFIG: controlPlane.kubeconfigPath };
  const { status, stderr } = spawnSync(process.execPath, [PLUGIN, ...args], { env, maxBuffer: 1 << 28 });
  // 5: something is not as it should be, such as the controller, which does not run here.
  if (status !== 0 && status !== 5) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`);
}

/** ApiTokens with the status that the controller would have written, of which one in a hundred is not Ready. */
async function fill({ transport }: BenchStage, tell: (text: string) => void): Promise<void> {
  const path = apiTokensPath("watched");
  const timeoutMs = 60_000;
  let done = 0;
  await runMany(COUNT, 16, async (index) => {
    const created = await transport.request<ApiToken>("POST", path, { body: anApiToken(index), timeoutMs });
    const body = { ...created, status: aStatus(index) };
    await transport.request("PUT", `${path}/${created.metadata.name}/status`, { body, timeoutMs });
    done += 1;
    if (done % 1_000 === 0) tell(`${done} of ${COUNT}`);
  });
}

function anApiToken(index: number) {
  return {
    apiVersion: "apitoken.dev/v1alpha1",
    kind: "ApiToken",
    metadata: { namespace: "watched", name: `t-${index}` },
    spec: {
      owner: `watched/t-${index}`,
      scopes: ["orders:read", "orders:write"],
      description: "made for a measurement",
    },
  };
}

function aStatus(index: number) {
  const at = "2026-01-01T00:00:00Z";
  const isReady = index % 100 !== 0;
  const message = isReady ? `Secret "t-${index}" holds a live token.` : "The namespace has no policy.";
  const ready = {
    type: "Ready",
    status: isReady ? "True" : "False",
    reason: isReady ? "Issued" : "PolicyMissing",
    message,
  };
  return {
    observedGeneration: 1,
    conditions: [{ ...ready, observedGeneration: 1, lastTransitionTime: at }],
    tokenId: String(index).padStart(12, "0"),
    revision: 1,
    secretName: `t-${index}`,
    policy: "tests",
    issuedAt: at,
    expiresAt: "2099-01-01T00:00:00Z",
    renewAt: "2098-01-01T00:00:00Z",
    effective: { duration: "720h", scopes: ["orders:read", "orders:write"] },
  };
}
