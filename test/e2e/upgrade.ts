import { createHash } from "node:crypto";
import { listApiTokens, listPods, untilAllReady, untilRolledOut } from "./cluster-view.ts";
import { deploy, helm, RELEASE, SYSTEM, TENANT, type Version } from "./installation.ts";
import { readConsumer } from "./load.ts";
import { getJson, kubectl, kubectlApply, need, tell, until } from "./programs.ts";

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

/** Has somebody new own a token of the tenant. */
export async function applyToken(name: string): Promise<void> {
  const metadata = { name, namespace: TENANT };
  await kubectlApply([{ apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", metadata, spec: { owner: name } }]);
}

/** Digests of what the tenant's Secrets of ApiTokens hold, so that no failure prints a token. */
async function digestSecrets(names: readonly string[]): Promise<Record<string, string>> {
  const digest = async (name: string): Promise<[string, string]> => {
    const { data } = await getJson<{ data: object }>("secret", name, "-n", TENANT);
    return [name, createHash("sha256").update(JSON.stringify(data)).digest("hex")];
  };
  return Object.fromEntries(await Promise.all(names.map(digest)));
}

/** Chart and application of the release, as in "apitoken-operator-0.1.0 (0.1.0)". */
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

/** From whatever version is installed to the current one: every token stays what it is, and works all the time. */
export async function upgradeVersion(current: Version): Promise<void> {
  const names = ["hello", "survivor-1", "survivor-2"];
  for (const name of names.slice(1)) await applyToken(name);
  await untilAllReady(names.length);
  const from = await describeRelease();
  const before = { ids: await readTokenIds(), secrets: await digestSecrets(names) };
  const load = await readConsumer();

  tell(await deploy("upgrade", current, {}, ...WAIT));
  await untilRolledOut();
  await untilAllRun(current.images.tag);
  await applyToken("after-upgrade"); // the new version issues, and so has seen the old one's tokens
  await untilAllReady(names.length + 1);

  const { "after-upgrade": _, ...ids } = await readTokenIds();
  need(JSON.stringify(ids) === JSON.stringify(before.ids), "tokens were replaced");
  need(JSON.stringify(await digestSecrets(names)) === JSON.stringify(before.secrets), "Secrets have changed");
  const { checks, failures, fault, tokenIds } = await readConsumer();
  need(failures === load.failures, `the consumer was refused: ${fault}`);
  need(tokenIds.length === 1 && tokenIds[0] === ids.hello, "the consumer's token is another one");
  tell(`from ${from} to ${await describeRelease()}`);
  tell(`${names.length} tokens and their Secrets are the same; ${checks - load.checks} checks meanwhile, none failed`);
}

/** To other values, while the consumer's own token is renewed. */
export async function upgradeValues(current: Version): Promise<void> {
  const { hello, ...before } = await readTokenIds();
  const load = await readConsumer();
  const rollout = deploy("upgrade", current, { controller: { logLevel: "debug" } }, ...WAIT);
  await requestRotation("hello");
  tell(await rollout);
  await untilRolledOut();
  await until("the rotation is done", async () => (await readTokenIds()).hello !== hello);
  const { hello: next = "", ...after } = await readTokenIds();
  // Before the kubelet has brought it to the pod, one more rotation would end the token that is used there.
  await until("the consumer uses it", async () => (await readConsumer()).tokenIds.includes(next), 300_000);
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
