#!/usr/bin/env node
/*
 * The e2e: what only a real cluster can show. Images start under Pod Security, RBAC and NetworkPolicies are enough,
 * upgrades and failovers go unnoticed, and nothing is left behind.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tryAccount } from "./account.ts";
import {
  findLeader,
  listApiTokens,
  listDoneJobs,
  listPods,
  scrape,
  untilAllReady,
  untilRolledOut,
} from "./cluster-view.ts";
import {
  createNamespaces,
  deploy,
  FULLNAME,
  GATEWAYS,
  helm,
  imageName,
  RELEASE,
  removeEverything,
  SYSTEM,
  TENANT,
} from "./installation.ts";
import { readConsumer, startConsumer } from "./load.ts";
import { type E2eOptions, HELP, readOptions, type Supply } from "./options.ts";
import { getJson, kubectl, kubectlWith, need, print, run, runLine, step, until } from "./programs.ts";
import { stopTenantProgram } from "./tenant-pod.ts";
import { applyToken, readTokenIds, requestRotation, upgradeValues, upgradeVersion } from "./upgrade.ts";
import { judgeCaller, killVerifier, loseDatabase, revokeDoomed, startCaller } from "./verifier.ts";

const { current, previous, gateway, supply, waits, keeps, needsHelp } = readCommandLine();
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));

/** Applies an example in the tenant's namespace, for an owner of that namespace instead of the namespace "default". */
function applyExample(file: string): Promise<string> {
  const text = readFileSync(join(EXAMPLES, file), "utf8").replaceAll("owner: default/", `owner: ${TENANT}/`);
  return kubectlWith(text, "apply", "-n", TENANT, "-f", "-");
}

function readCommandLine(): E2eOptions {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

async function provideImages({ build, load, images }: Supply): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-e2e-"));
  try {
    for (const source of images) {
      const values = { ...source, "": join(folder, `${source.target}.tar`) };
      await runLine(build, values);
      if (load?.includes("{}")) await runLine("docker save -o {} {image}", values);
      if (load !== undefined) await runLine(load, values);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Installs without waiting for anything. The first ApiToken is applied as soon as the API server serves its kind. */
async function install(): Promise<void> {
  const startedAtMs = performance.now();
  print(await deploy("install", previous ?? current, {}, ...(waits ? ["--wait", "--timeout", "5m"] : [])));
  const helmMs = performance.now() - startedAtMs;
  // It knows the CRD when helm returns, but may answer 503 for its kind a moment longer.
  await until("the API server serves ApiTokens", () => applyExample("hello.yaml"));
  await untilAllReady(1, 300_000);
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  print(
    `helm install took ${seconds(helmMs)} s; the first ApiToken was Ready ${seconds(performance.now() - startedAtMs)} s after its start`,
  );
  await untilRolledOut();
  print(await kubectl("get", "pods", "-n", SYSTEM));
}

const nodeImage = imageName(current.images, "controller");
const startLoad = () => startConsumer(nodeImage, "hello");

async function applyExamples(): Promise<void> {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml"));
  for (const file of files) await applyExample(file);
  await untilAllReady((await listApiTokens()).length);
  print(await kubectl("get", "apitokens", "-n", TENANT));
  for (const file of readdirSync(join(EXAMPLES, "refused")).filter((name) => name.endsWith(".yaml"))) {
    const refusal = await applyExample(join("refused", file)).catch((error: Error) => error.message);
    const isRefused = /is invalid|is missing|cannot be changed/.test(refusal);
    need(isRefused, `examples/refused/${file} was not refused:\n${refusal}`);
  }
}

async function scrapeMetrics(): Promise<void> {
  const pods = await listPods("controller");
  const texts = await Promise.all(pods.map(({ metadata }) => scrape(metadata.name)));
  const leading = texts.filter((text) => /^apitoken_leading 1$/m.test(text));
  need(texts.length === 2 && leading.length === 1, `${leading.length} of ${texts.length} replicas lead`);
  for (const line of ["apitoken_database_available 1", 'apitoken_tokens{state="ready",reason="Issued"}']) {
    need(leading[0]?.includes(line) ?? false, `the leader's metrics lack ${line}`);
  }
  print(`${texts.length} replicas answer, one leads`);
}

async function rotate(): Promise<void> {
  const before = await readConsumer();
  const startedAtMs = performance.now();
  await requestRotation("hello");
  const after = await until(
    "the consumer uses the next token",
    async () => {
      const report = await readConsumer();
      return report.tokenIds.length > before.tokenIds.length && report;
    },
    300_000,
  );
  print(
    `from ${before.tokenIds.at(-1)} to ${after.tokenIds.at(-1)}, in use after ${((performance.now() - startedAtMs) / 1_000).toFixed(0)} s`,
  );
}

async function killLeader(): Promise<void> {
  const leader = await until("a controller leads", findLeader);
  const startedAtMs = performance.now();
  await kubectl("delete", "pod", leader, "-n", SYSTEM, "--grace-period=0", "--force");
  const next = await until("another one leads", async () => {
    const holder = await findLeader();
    return holder !== leader && holder;
  });
  print(`${leader} was killed; ${next} leads after ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`);
  await applyToken("after-failover");
  await untilAllReady((await listApiTokens()).length);
  await untilRolledOut();
}

async function cleanUp(): Promise<void> {
  const scheduled = await until("the CronJob's Job is done", async () => (await listDoneJobs())[0], 180_000);
  print(`by schedule: ${scheduled.metadata.name}`);
  await kubectl("create", "job", "by-hand", "-n", SYSTEM, `--from=cronjob/${FULLNAME}-cleanup`);
  await kubectl("wait", "job/by-hand", "-n", SYSTEM, "--for=condition=Complete", "--timeout=120s");
  print(await kubectl("logs", "job/by-hand", "-n", SYSTEM));
  const pods = await listPods("cleanup");
  need(pods.length > 0, "the cleanup's pods are gone");
  for (const { spec, metadata } of pods) {
    const hasToken = (spec.volumes ?? []).some((volume) => "projected" in volume);
    need(!hasToken, `${metadata.name} has credentials for the API server`);
  }
  const leader = await until("a controller leads", findLeader);
  await until("its metrics show the cleanup", async () =>
    /^apitoken_cleanup_last_success_timestamp_seconds \d/m.test(await scrape(leader)),
  );
}

async function judgeConsumer(): Promise<void> {
  const { checks, failures, fault, tokenIds, slowestMs } = await readConsumer();
  print(`${checks} checks with ${tokenIds.length} tokens, ${failures} failed; the slowest took ${slowestMs} ms`);
  need(failures === 0, `the consumer was refused: ${fault}`);
  await stopTenantProgram("consumer");
}

async function examine(): Promise<void> {
  const program = ["--", "/usr/local/bin/node", "/app/controller.js", "doctor"];
  print(await kubectl("exec", `deployment/${FULLNAME}`, "-n", SYSTEM, "-c", "controller", ...program));
}

async function uninstall(): Promise<void> {
  await stopTenantProgram("caller");
  const before = await readTokenIds();
  print(await helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait"));
  need(JSON.stringify(await readTokenIds()) === JSON.stringify(before), "ApiTokens were deleted with the release");
  await kubectl("get", "secret", "hello", "-n", TENANT);
  const { items: policies } = await getJson<{ items: unknown[] }>("apitokenpolicies");
  need(policies.length === 0, "the default policy has outlived the release");
  print(`${Object.keys(before).length} ApiTokens and their Secrets are still there`);
}

const STEPS: readonly (readonly [title: string, work: () => Promise<unknown>])[] = [
  ["the cluster", async () => print(await run("sh", ["-c", "kubectl version; kubectl get nodes -o wide"]))],
  ["remove what an earlier run has left", removeEverything],
  ...(supply === undefined ? [] : ([["images", () => provideImages(supply)]] as const)),
  ["namespaces that admit only Pod Security restricted", createNamespaces],
  [`helm install${previous === undefined ? "" : ` of ${previous.chart}`}`, install],
  ["a consumer uses its token, 50 times a second from now on", startLoad],
  ...(previous === undefined
    ? []
    : ([["helm upgrade to the chart in this checkout", () => upgradeVersion(current)]] as const)),
  [
    "a caller asks an application behind a gateway, 100 times a second from now on",
    () => startCaller({ node: nodeImage, gateway }),
  ],
  ["helm test", async () => print(await helm("test", RELEASE, "--namespace", SYSTEM))],
  ["examples", applyExamples],
  ["metrics", scrapeMetrics],
  ["the account of the controller", tryAccount],
  ["the leader is killed", killLeader],
  ["helm upgrade to other values, under load", () => upgradeValues(current)],
  ["a rotation reaches the consumer", rotate],
  ["the cleanup", cleanUp],
  ["the doctor finds nothing", examine],
  ["the consumer has noticed nothing", judgeConsumer],
  ["a revocation reaches the caller", revokeDoomed],
  ["a pod of the verifier is killed", killVerifier],
  ["Postgres is away for a minute", loseDatabase],
  ["the caller got no wrong answer", judgeCaller],
  ["helm uninstall", uninstall],
  ...(keeps ? [] : ([["remove everything", removeEverything]] as const)),
];

async function main(): Promise<void> {
  if (needsHelp) {
    process.stdout.write(HELP);
    return;
  }
  for (const [title, work] of STEPS) {
    step(title);
    await work();
  }
  step("passed");
}

main().catch(async (error: Error) => {
  process.stderr.write(`\nFAILED: ${error.message}\n${error.cause instanceof Error ? error.cause.message : ""}\n`);
  const about = `kubectl get all,events -n ${SYSTEM}; kubectl logs -n ${SYSTEM} -l 'app.kubernetes.io/component in (controller, verifier)' --all-containers --tail=30 --prefix; kubectl get apitokens,pods,events -n ${TENANT}; kubectl get pods,events -n ${GATEWAYS}; kubectl logs -n ${GATEWAYS} gateway --tail=30`;
  process.stderr.write(await run("sh", ["-c", about]).catch((failure: Error) => failure.message));
  process.exitCode = 1;
});
