/*
 * Objects as large as the API server accepts, made of what a person may choose: they cost little to make, and much to whoever
 * reads them as if they were ours.
 */
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { secretsPath } from "../../src/kube/resources/secret-api.ts";
import type { TestCluster } from "./cluster.ts";

/** Creates Secrets that carry our label, and whose size is in each of the places that a size can be in. */
export async function createHostileSecrets(cluster: TestCluster): Promise<void> {
  const megabyte = Buffer.alloc(700_000).toString("base64");
  const strangers = Array.from({ length: 5_000 }, (_, index) => aReference(`stranger-${index}`));
  const kinds: readonly (readonly [count: number, prefix: string, content: SecretContent])[] = [
    [5, "keys", { data: manyKeys(100_000) }],
    [20, "values", { data: { a: megabyte } }],
    [3, "labels", { labels: manyKeys(20_000) }],
    [3, "annotations", { annotations: { note: "x".repeat(250_000) } }],
    [3, "owners", { ownerReferences: strangers }],
    [3, "managers", { data: manyKeys(10_000), keepsManagers: true }],
  ];
  for (const [count, prefix, content] of kinds) {
    for (let index = 0; index < count; index += 1) await createSecret(cluster, `${prefix}-${index}`, content);
  }
}

interface SecretContent {
  readonly data?: object;
  readonly labels?: object;
  readonly annotations?: object;
  readonly ownerReferences?: readonly object[];
  /** Whether the API server records who manages each key, which takes more than the keys themselves. */
  readonly keepsManagers?: boolean;
}

async function createSecret(
  { transport, namespace }: TestCluster,
  name: string,
  { data = {}, labels = {}, keepsManagers = false, ...metadata }: SecretContent,
): Promise<void> {
  const body = {
    type: "Opaque",
    metadata: {
      ...metadata,
      name,
      labels: { ...labels, "apitoken.dev/managed": "true" },
      ...(keepsManagers ? {} : { managedFields: [{}] }),
    },
    data,
  };
  await transport.request("POST", secretsPath(namespace), { body, timeoutMs: 60_000 });
}

/** Creates ApiTokens that name the Secrets with the most keys, so that passes read these; returns their names. */
export async function applyToHostileSecrets(cluster: TestCluster): Promise<string[]> {
  const names = Array.from({ length: 5 }, (_, index) => `to-keys-${index}`);
  for (const [index, name] of names.entries()) {
    await cluster.apply(name, { owner: name, secret: { name: `keys-${index}` } });
  }
  return names;
}

/** Blows up ApiTokens that exist: a request for a rotation, finalizers and a status that nobody but a person has written. */
export async function blowUpApiTokens(cluster: TestCluster, names: readonly string[]): Promise<void> {
  const { transport, namespace } = cluster;
  const patch = (name: string, body: object, subresource = "") =>
    transport.request("PATCH", `${apiTokensPath(namespace)}/${name}${subresource}`, {
      body,
      contentType: "application/merge-patch+json",
    });
  for (const name of names) await cluster.annotate(name, { "apitoken.dev/rotate-requested-at": "x".repeat(200_000) });
  for (const name of names.slice(0, 10)) {
    await patch(name, { status: { lastHandledRotateAt: "x".repeat(500_000) } }, "/status");
  }
  const finalizers = Array.from({ length: 5_000 }, (_, index) => `example.com/f${index}`);
  for (const name of names.slice(0, 3)) await patch(name, { metadata: { finalizers } });
}

function manyKeys(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index.toString(36)}`, ""]));
}

function aReference(name: string) {
  return { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", name, uid: `uid-of-${name}` };
}
