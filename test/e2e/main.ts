#!/usr/bin/env node
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
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
  helm,
  type Images,
  imageName,
  RELEASE,
  removeEverything,
  SYSTEM,
  TENANT,
} from "./installation.ts";
import { readConsumer, startConsumer } from "./load.ts";
import { getJson, kubectl, kubectlApply, need, run, runLine, step, tell, until } from "./programs.ts";

const HELP = `Installs the chart into a cluster, and sees it work on real pods. KUBECONFIG says which cluster.

Usage: npm run e2e -- [options]

      --build CMD      builds an image; {target} and {image} are replaced   [docker build --target {target} -t {image} .]
      --load CMD       loads an image; {} is an archive of it, {image} its name: 'kind load image-archive {}'
      --no-build       the images are where the cluster finds them
      --registry R     where they are                                       []
      --tag T          their tag                                            [e2e]
      --postgres I     the image of the Postgres                            [docker.io/library/postgres:15]
      --wait           helm install --wait
      --keep           leave everything as it is at the end
  -h, --help           print this

It makes the namespaces ${SYSTEM} and ${TENANT}, and the CRDs; at the beginning and at the end it deletes them.
`;

const { values: options } = parseArgs({
  options: {
    build: { type: "string", default: "docker build --target {target} -t {image} ." },
    load: { type: "string" },
    "no-build": { type: "boolean", default: false },
    registry: { type: "string", default: "" },
    tag: { type: "string", default: "e2e" },
    postgres: { type: "string", default: "docker.io/library/postgres:15" },
    wait: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const images: Images = { registry: options.registry, tag: options.tag, postgres: options.postgres };
const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));

async function provideImages(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-e2e-"));
  try {
    for (const target of ["controller", "cleanup", "migrate"]) {
      const values = { target, image: imageName(images, target), "": join(folder, `${target}.tar`) };
      await runLine(options.build, values);
      if (options.load?.includes("{}")) await runLine("docker save -o {} {image}", values);
      if (options.load !== undefined) await runLine(options.load, values);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of what helm prints. */
function readStatus(text: string): string {
  return /STATUS: \w+/.exec(text)?.[0] ?? text;
}

/** Installs, without waiting for anything; the first ApiToken is applied as soon as helm is back. */
async function install(): Promise<void> {
  const startedAtMs = performance.now();
  tell(readStatus(await deploy("install", images, {}, ...(options.wait ? ["--wait", "--timeout", "5m"] : []))));
  const helmMs = performance.now() - startedAtMs;
  await kubectl("apply", "-n", TENANT, "-f", join(EXAMPLES, "hello.yaml"));
  await untilAllReady(1, 300_000);
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  tell(
    `helm install took ${seconds(helmMs)} s; the first ApiToken was Ready ${seconds(performance.now() - startedAtMs)} s after its start`,
  );
  await untilRolledOut();
  tell(await kubectl("get", "pods", "-n", SYSTEM));
}

async function applyExamples(): Promise<void> {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml"));
  for (const file of files) await kubectl("apply", "-n", TENANT, "-f", join(EXAMPLES, file));
  await untilAllReady(files.length);
  tell(await kubectl("get", "apitokens", "-n", TENANT));
  for (const file of readdirSync(join(EXAMPLES, "refused")).filter((name) => name.endsWith(".yaml"))) {
    const refusal = await kubectl("apply", "-n", TENANT, "-f", join(EXAMPLES, "refused", file)).catch(
      (error: Error) => error.message,
    );
    need(
      /is invalid|is missing|cannot be changed/.test(refusal),
      `examples/refused/${file} was not refused:\n${refusal}`,
    );
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
  tell(`${texts.length} replicas answer, one leads`);
}

async function requestRotation(name: string): Promise<void> {
  const annotation = `apitoken.dev/rotate-requested-at=${new Date().toISOString()}`;
  await kubectl("annotate", "apitoken", name, "-n", TENANT, "--overwrite", annotation);
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
  tell(
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
  tell(`${leader} was killed; ${next} leads after ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`);
  const name = "after-failover";
  await kubectlApply([
    {
      apiVersion: "apitoken.dev/v1alpha1",
      kind: "ApiToken",
      metadata: { name, namespace: TENANT },
      spec: { owner: name },
    },
  ]);
  await untilAllReady((await listApiTokens()).length);
  await untilRolledOut();
}

async function cleanUp(): Promise<void> {
  const scheduled = await until("the CronJob's Job is done", async () => (await listDoneJobs())[0], 180_000);
  tell(`by schedule: ${scheduled.metadata.name}`);
  await kubectl("create", "job", "by-hand", "-n", SYSTEM, `--from=cronjob/${FULLNAME}-cleanup`);
  await kubectl("wait", "job/by-hand", "-n", SYSTEM, "--for=condition=Complete", "--timeout=120s");
  tell(await kubectl("logs", "job/by-hand", "-n", SYSTEM));
  const pods = await listPods("cleanup");
  need(pods.length > 0, "the cleanup's pods have gone");
  for (const { spec, metadata } of pods) {
    const hasToken = (spec.volumes ?? []).some((volume) => "projected" in volume);
    need(!hasToken, `${metadata.name} has credentials of the API server`);
  }
  const leader = await until("a controller leads", findLeader);
  await until("its metrics tell of the cleanup", async () =>
    /^apitoken_cleanup_last_success_timestamp_seconds \d/m.test(await scrape(leader)),
  );
}

/** The ids of the tenant's tokens, by their ApiToken. */
async function readTokenIds(): Promise<Record<string, string | undefined>> {
  const all = await listApiTokens();
  return Object.fromEntries(all.map(({ metadata, status }) => [metadata.name, status?.tokenId]));
}

async function upgrade(): Promise<void> {
  const { hello, ...before } = await readTokenIds();
  const load = await readConsumer();
  const rollout = deploy("upgrade", images, { controller: { logLevel: "debug" } }, "--wait", "--timeout", "5m");
  await requestRotation("hello"); // the consumer's own token is renewed meanwhile
  tell(readStatus(await rollout));
  await untilRolledOut();
  await until("the rotation is done", async () => (await readTokenIds()).hello !== hello);
  const { hello: _, ...after } = await readTokenIds();
  need(JSON.stringify(after) === JSON.stringify(before), "tokens were replaced");
  const { checks, failures, fault } = await readConsumer();
  need(failures === load.failures, `the consumer was refused: ${fault}`);
  tell(
    `one token was rotated, ${Object.keys(after).length} are the same; ${checks - load.checks} checks meanwhile, none failed`,
  );
  // A hook at the installation, for lack of the CRD; from the first upgrade on one of the release's objects.
  const manifest = await helm("get", "manifest", RELEASE, "--namespace", SYSTEM);
  need(manifest.includes("kind: ApiTokenPolicy"), "the default policy is not the release's");
}

async function judgeConsumer(): Promise<void> {
  const { checks, failures, fault, tokenIds, slowestMs } = await readConsumer();
  tell(`${checks} checks with ${tokenIds.length} tokens, ${failures} failed; the slowest took ${slowestMs} ms`);
  need(failures === 0, `the consumer was refused: ${fault}`);
}

async function examine(): Promise<void> {
  const program = ["--", "/usr/local/bin/node", "/app/controller.js", "doctor"];
  tell(await kubectl("exec", `deployment/${FULLNAME}`, "-n", SYSTEM, "-c", "controller", ...program));
}

async function uninstall(): Promise<void> {
  await kubectl("delete", "pod", "consumer", "-n", TENANT, "--wait=false");
  const before = await readTokenIds();
  tell(await helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait"));
  need(JSON.stringify(await readTokenIds()) === JSON.stringify(before), "ApiTokens went with the release");
  await kubectl("get", "secret", "hello", "-n", TENANT);
  const { items: policies } = await getJson<{ items: unknown[] }>("apitokenpolicies");
  need(policies.length === 0, "the default policy has outlived the release");
  tell(`${Object.keys(before).length} ApiTokens and their Secrets are still there`);
}

const STEPS: readonly (readonly [title: string, work: () => Promise<unknown>])[] = [
  ["the cluster", async () => tell(await run("sh", ["-c", "kubectl version; kubectl get nodes -o wide"]))],
  ["nothing is left of an earlier run", removeEverything],
  ...(options["no-build"] ? [] : ([["images", provideImages]] as const)),
  ["namespaces that admit Pod Security restricted alone", createNamespaces],
  ["helm install", install],
  ["helm test", async () => tell(await helm("test", RELEASE, "--namespace", SYSTEM))],
  ["examples", applyExamples],
  ["a consumer uses its token, 50 times a second from now on", () => startConsumer(images, "hello")],
  ["metrics", scrapeMetrics],
  ["the leader is killed", killLeader],
  ["helm upgrade under load", upgrade],
  ["a rotation reaches the consumer", rotate],
  ["the cleanup", cleanUp],
  ["the doctor finds nothing", examine],
  ["the consumer has noticed nothing", judgeConsumer],
  ["helm uninstall", uninstall],
  ...(options.keep ? [] : ([["all is taken away", removeEverything]] as const)),
];

async function main(): Promise<void> {
  if (options.help) {
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
  const about = `kubectl get all,events -n ${SYSTEM}; kubectl logs -n ${SYSTEM} -l app.kubernetes.io/component=controller --all-containers --tail=30 --prefix; kubectl get apitokens,pods,events -n ${TENANT}`;
  process.stderr.write(await run("sh", ["-c", about]).catch((failure: Error) => failure.message));
  process.exitCode = 1;
});
