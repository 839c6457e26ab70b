/*
 * What the operations of a random walk act on. The walk remembers only what cannot be read back: which Secrets are
 * foreign, and which policies and blocks should exist.
 */
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { isCode } from "../../../src/kube/api-error.ts";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../../src/kube/resources/api-token-api.ts";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import type { TestCluster } from "../cluster.ts";
import type { ClusterResources } from "../policies.ts";
import type { Random } from "./random.ts";

/** The place of a random walk, and what it must remember of its own operations. */
export interface Walk {
  readonly cluster: TestCluster;
  readonly resources: ClusterResources;
  readonly databaseUrl: string;
  readonly random: Random;
  /** The Secrets that belong to no ApiToken, as they were created, by name. */
  readonly foreign: Map<string, Secret>;
  /** The existing policies by name. `blocks` has the existing blocks. */
  readonly policies: Map<string, { priority: number; max: number }>;
  readonly blocks: Map<string, { owner: string; isEffective: boolean }>;
}

export const OWNERS = ["owner-0", "owner-1", "owner-2", "owner-3", "owner-4"];
const TOKENS = Array.from({ length: 20 }, (_, index) => `token-${index}`);

/** The name of an ApiToken that may or may not exist. */
export function pickName({ random }: Walk): string {
  return random.pick(TOKENS);
}

/** The name of an existing ApiToken, if there is any. */
export async function pickExisting(walk: Walk): Promise<string> {
  const names = (await listTokens(walk)).map(({ metadata }) => metadata.name);
  return names.length === 0 ? pickName(walk) : walk.random.pick(names);
}

export function ownerOf(name: string): string {
  return OWNERS[Number(name.split("-")[1]) % OWNERS.length] as string;
}

export async function listTokens({ cluster: { transport, namespace } }: Walk): Promise<ApiToken[]> {
  return (await transport.request<{ items: ApiToken[] }>("GET", apiTokensPath(namespace))).items;
}

export async function listSecrets({ cluster: { transport, namespace } }: Walk): Promise<Secret[]> {
  return (await transport.request<{ items: Secret[] }>("GET", secretsPath(namespace))).items;
}

/** One of the Secrets that the controller has written; undefined if there is none. */
export async function pickSecret(walk: Walk): Promise<Secret | undefined> {
  const ours = (await listSecrets(walk)).filter(
    ({ metadata }) => metadata.ownerReferences?.[0]?.kind === "ApiToken" && !walk.foreign.has(metadata.name),
  );
  return ours.length === 0 ? undefined : walk.random.pick(ours);
}

export function patchSecret({ cluster: { transport, namespace } }: Walk, name: string, body: object): Promise<unknown> {
  return transport.request("PATCH", `${secretsPath(namespace)}/${name}`, {
    contentType: "application/merge-patch+json",
    body,
  });
}

/** Changes one random row that matches `where`; returns which. */
export async function changeRow({ databaseUrl, random }: Walk, where: string, change: string): Promise<string> {
  const rows = await runAsSuperuser<{ id: string; name: string }>(
    databaseUrl,
    `select id, name from apitoken.tokens where ${where} order by name, revision`,
  );
  const row = rows.length === 0 ? undefined : random.pick(rows);
  if (row === undefined) return "of none";
  await runAsSuperuser(databaseUrl, `${change} where id = $1`, [row.id]);
  return `of ${row.name}`;
}

/** Whether an operation failed only because its object was just deleted or changed. */
export function isPassedBy(error: unknown): boolean {
  return isCode(error, 404, 409);
}

/** Describes everything that exists, line by line and without plaintext, to explain a failure. */
export async function describeScene(walk: Walk): Promise<string> {
  const tokens = (await listTokens(walk)).map(({ metadata, spec, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const said = `${ready?.status} ${ready?.reason}, token ${status?.tokenId}, revision ${status?.revision}`;
    return `${metadata.name} ${JSON.stringify(spec)}: ${said}, Secret ${status?.secretName}`;
  });
  const rows = await runAsSuperuser<{ line: string }>(
    walk.databaseUrl,
    `select concat_ws(' ', name, revision, id, 'expires', expires_at, 'revoked', revoked_at, revocation_reason) as line
     from apitoken.tokens order by name, revision`,
  );
  const secrets = (await listSecrets(walk)).map(({ metadata: { name, annotations, ownerReferences } }) => {
    const owner = ownerReferences?.[0]?.name ?? "nobody";
    return `Secret ${name} of ${owner} with ${annotations?.["apitoken.dev/token-id"] ?? "no token"}`;
  });
  return [...tokens, ...rows.map(({ line }) => line), ...secrets].join("\n");
}
