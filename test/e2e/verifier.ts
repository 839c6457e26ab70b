/*
 * The verifier on real pods, behind a real gateway: whatever happens to it or to its database, no client of the gateway gets a wrong
 * answer.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CallerReport } from "./caller.ts";
import { isPodReady, listPods, scrape, untilRolledOut } from "./cluster-view.ts";
import { GATEWAY_URL, startGateway } from "./gateway.ts";
import { FULLNAME, SYSTEM, TENANT } from "./installation.ts";
import { kubectl, need, print, until } from "./programs.ts";
import { readReport, startTenantProgram } from "./tenant-pod.ts";
import { applyToken } from "./upgrade.ts";

const DATABASE = `${FULLNAME}-dev-postgres`;
const AWAY_MS = 60_000;

/** The caller's latest report. */
const readCaller = (): Promise<CallerReport> => readReport("caller");

/** Starts an application, a gateway in front of it, and the caller: a pod that goes through the gateway with two tokens all the time. */
export async function startCaller(images: { readonly node: string; readonly gateway: string }): Promise<void> {
  await startTenantProgram({ name: "app", image: images.node, env: { PORT: "8080" }, port: 8080 });
  await applyToken("doomed", ["orders:read"]);
  await kubectl("wait", "pod/app", "apitoken/doomed", "-n", TENANT, "--for=condition=Ready", "--timeout=60s");
  await startGateway(images.gateway);
  const env = { GATEWAY_URL, NAMESPACE: TENANT };
  const secrets = { lasting: "hello", doomed: "doomed" };
  await startTenantProgram({ name: "caller", image: images.node, env, secrets });
  await until("the application answers the caller", async () => {
    const { lasting, doomed, strangers } = await readCaller();
    return lasting.good > 100 && doomed.good > 100 && strangers.refused + strangers.passed > 5;
  });
  const { strangers } = await judge();
  print(`requests with good tokens reach the application, and ${strangers.refused} others did not`);
}

/** Fails if the caller has had a wrong answer; returns its report. */
async function judge(): Promise<CallerReport> {
  const report = await readCaller();
  const { lasting, strangers, mistaken, revived, fault } = report;
  need(strangers.passed === 0, `${strangers.passed} requests without a good token reached the application`);
  need(mistaken === 0, `the application was given a wrong identity ${mistaken} times: ${fault}`);
  need(lasting.refused === 0, `a good token was refused ${lasting.refused} times`);
  need(revived === 0, `a revoked token was good again ${revived} times`);
  return report;
}

/** Revokes a token that is in use. */
export async function revokeDoomed(): Promise<void> {
  const { lasting, doomed: before, fault } = await judge();
  need(before.refused === 0, "a token was refused before it was revoked");
  need(
    lasting.unanswered === 0,
    `in the upgrade and the rotation ${lasting.unanswered} requests had no answer: ${fault}`,
  );
  const patch = '{"spec":{"revoked":true,"revocationReason":"the e2e"}}';
  await kubectl("patch", "apitoken", "doomed", "-n", TENANT, "--type=merge", "-p", patch);
  const patchedAtMs = Date.now();
  const { doomed } = await until("the caller is refused", async () => {
    const report = await judge();
    return report.doomed.refused > 100 && report;
  });
  print(
    `the last good answer came ${Math.max(0, doomed.lastGoodMs - patchedAtMs)} ms after kubectl patch had returned`,
  );
  need(doomed.lastGoodMs - patchedAtMs < 5_000, "a revoked token was good for too long");
}

/** Kills a pod of the verifier, without a warning. */
export async function killVerifier(): Promise<void> {
  const [pod] = await listPods("verifier");
  const before = await judge();
  await kubectl("delete", "pod", pod?.metadata.name ?? "", "-n", SYSTEM, "--grace-period=0", "--force");
  await untilRolledOut();
  await until("the caller continues", async () => (await judge()).lasting.good > before.lasting.good + 200);
  const after = await judge();
  print(
    `${pod?.metadata.name} was killed; ${after.lasting.good - before.lasting.good} good answers since, and ${after.lasting.unanswered - before.lasting.unanswered} requests failed`,
  );
  need(after.lasting.unanswered === before.lasting.unanswered, `a request failed: ${after.fault}`);
}

/** Ends the server of the database, and keeps it out of reach for a minute. Its pod stays, because the data is in it. */
export async function loseDatabase(): Promise<void> {
  const before = await judge();
  const select = (pod: string | null) =>
    kubectl("patch", "service", DATABASE, "-n", SYSTEM, "-p", JSON.stringify({ spec: { selector: { e2e: pod } } }));
  const pods = (await listPods("verifier")).map(({ metadata }) => metadata.name);
  await select("nowhere");
  // Its container ends with it, and so may the command.
  await kubectl("exec", `${DATABASE}-0`, "-n", SYSTEM, "--", "sh", "-c", "kill -QUIT 1").catch(() => {});
  const endsAtMs = performance.now() + AWAY_MS;
  await untilAll(pods, "apitoken_verifier_database_available 0");
  while (performance.now() < endsAtMs) {
    const unready = (await listPods("verifier")).filter((pod) => !isPodReady(pod));
    need(unready.length === 0, `${unready.map(({ metadata }) => metadata.name).join(", ")}: not ready`);
    await judge();
    await delay(1_000);
  }
  await untilAll(pods, "apitoken_verifier_database_available 0"); // it was away until now
  await select(null);
  await untilAll(pods, "apitoken_verifier_fresh 1");
  await untilRolledOut();
  const after = await judge();
  const { good, unanswered } = before.lasting;
  print(
    `${after.lasting.good - good} good answers without the database, ${after.lasting.unanswered - unanswered} requests unanswered; no pod was unready`,
  );
  need(after.lasting.unanswered === unanswered, `a known token got no answer: ${after.fault}`);
}

/** Waits until every one of these pods has a metric with this value. */
async function untilAll(pods: readonly string[], line: string): Promise<void> {
  await until(`every verifier says ${line}`, async () => {
    const texts = await Promise.all(pods.map(scrape));
    return texts.every((text) => text.split("\n").includes(line));
  });
}

/** Fails unless the caller was answered all the time, and always rightly. */
export async function judgeCaller(): Promise<void> {
  const { lasting, doomed, strangers, slowestMs } = await judge();
  print(
    `${lasting.good + doomed.good} times good with ${lasting.ids.length + doomed.ids.length} tokens, ${doomed.refused} times refused after the revocation, ${strangers.refused} strangers refused; ${lasting.unanswered} unanswered; the slowest took ${slowestMs} ms`,
  );
  need(lasting.ids.length > 1, "the caller has seen no rotation");
}
