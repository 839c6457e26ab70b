/*
 * An upgrade must neither replace a token nor interrupt its use. So tokens and Secrets are compared before and after,
 * and a consumer uses its token meanwhile.
 */
import { createHash } from "node:crypto";
import { listApiTokens, listPods, untilAllReady, untilRolledOut } from "./cluster-view.ts";
import { deploy, helm, RELEASE, SYSTEM, TENANT, type Version } from "./installation.ts";
import { readConsumer } from "./load.ts";
import { getJson, kubectl, kubectlApply, need, print, until } from "./programs.ts";

const WAIT = ["--wait", "--timeout", "5m"];

/** The ids of the tenant's tokens, by their ApiToken. */
export async function readTokenIds(): Promise<Record<string, string | undefined>> {
  const all = await listApiTokens();
  return Object.fromEntries(all.map(({ metadata, status }) => [metadata.name, status?.tokenId]));
}

export async function requestRotation(name: string): Promise<void> {
  const annotation = `apitoken.dev/rotate-requested-at=${new Date().toISOString()}`;
  await kubectl("annotate", "apitoken", name, "-n", TENANT, "--overwrite", annotation);
}

/** Applies an ApiToken of the tenant, for a new owner that the chart's policy allows there. */
export async function applyToken(name: string, scopes: readonly string[] = []): Promise<void> {
  const metadata = { name, namespace: TENANT };
  const spec = { owner: `${TENANT}/${name}`, scopes };
  await kubectlApply([{ apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", metadata, spec }]);
}

/** Digests of the tenant's Secrets. A failed comparison prints these and not the tokens. */
async function digestSecrets(names: readonly string[]): Promise<Record<string, string>> {
  const digest = async (name: string): Promise<[string, string]> => {
    const { data } = await getJson<{ data: object }>("secret", name, "-n", TENANT);
    return [name, createHash("sha256").update(JSON.stringify(data)).digest("hex")];
  };
  return Object.fromEntries(await Promise.all(names.map(digest)));
}

/** Chart and application version of the release, such as "apitoken-operator-0.1.0 (0.1.0)". */
async function describeRelease(): Promise<string> {
  const releases = JSON.parse(
    await helm("list", "--namespace", SYSTEM, "--filter", `^${RELEASE}$`, "--output", "json"),
  );
  return `${releases[0].chart} (${releases[0].app_version})`;
}

interface PodImages {
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
}

/** Waits until the last pod of another version is gone. */
async function untilAllRun(tag: string | undefined): Promise<void> {
  await until(`all controllers run the tag ${tag}`, async () => {
    const pods = (await listPods("controller")) as unknown as PodImages[];
    return pods.every(({ spec }) => spec.containers.every(({ image }) => image.endsWith(`:${tag}`)));
  });
}

/** Upgrades from the installed version to the current one: every token stays the same and works all the time. */
export async function upgradeVersion(current: Version): Promise<void> {
  const names = ["hello", "survivor-1", "survivor-2"];
  for (const name of names.slice(1)) await applyToken(name);
  await untilAllReady(names.length);
  const from = await describeRelease();
  const before = { ids: await readTokenIds(), secrets: await digestSecrets(names) };
  const load = await readConsumer();

  print(await deploy("upgrade", current, {}, ...WAIT));
  await untilRolledOut();
  await untilAllRun(current.images.tag);
  await applyToken("after-upgrade"); // the new version issues a token, so it has seen those of the old one
  await untilAllReady(names.length + 1);

  const { "after-upgrade": _, ...ids } = await readTokenIds();
  need(JSON.stringify(ids) === JSON.stringify(before.ids), "tokens were replaced");
  need(JSON.stringify(await digestSecrets(names)) === JSON.stringify(before.secrets), "Secrets have changed");
  const { checks, failures, fault, tokenIds } = await readConsumer();
  need(failures === load.failures, `the consumer was refused: ${fault}`);
  need(tokenIds.length === 1 && tokenIds[0] === ids.hello, "the consumer's token is another one");
  print(`from ${from} to ${await describeRelease()}`);
  print(`${names.length} tokens and their Secrets are the same; ${checks - load.checks} checks meanwhile, none failed`);
}

/** Upgrades to other values, while the consumer's own token is rotated. */
export async function upgradeValues(current: Version): Promise<void> {
  const { hello, ...before } = await readTokenIds();
  const load = await readConsumer();
  const logLevel = "debug";
  const over = { controller: { logLevel }, verifier: { enabled: true, logLevel } };
  const rollout = deploy("upgrade", current, over, ...WAIT);
  await requestRotation("hello");
  print(await rollout);
  await untilRolledOut();
  await until("the rotation is done", async () => (await readTokenIds()).hello !== hello);
  const { hello: next = "", ...after } = await readTokenIds();
  // Until the kubelet has updated the pod's file, another rotation would end the token that is used there.
  await until("the consumer uses it", async () => (await readConsumer()).tokenIds.includes(next), 300_000);
  need(JSON.stringify(after) === JSON.stringify(before), "tokens were replaced");
  const { checks, failures, fault } = await readConsumer();
  need(failures === load.failures, `the consumer was refused: ${fault}`);
  print(
    `one token was rotated, ${Object.keys(after).length} are the same; ${checks - load.checks} checks meanwhile, none failed`,
  );
  // At the installation it is a hook, because the CRD is missing; from the first upgrade on it belongs to the release.
  const manifest = await helm("get", "manifest", RELEASE, "--namespace", SYSTEM);
  need(manifest.includes("kind: ApiTokenPolicy"), "the default policy is not the release's");
}
