/*
 * What the operations of a random walk act on. The walk remembers only what cannot be read back: which Secrets are
 * foreign, which policies, blocks and obstacles should exist, and what was seen before.
 */
import { isCode, isSecretsPath, KubeApiError } from "../../../src/kube/api-error.ts";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../../src/kube/resources/api-token-api.ts";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import type { Database } from "../../../src/postgres/database.ts";
import type { TestCluster } from "../cluster.ts";
import type { ClusterResources } from "../policies.ts";
import type { Memory } from "./memory.ts";
import type { Random } from "./random.ts";

/** The place of a random walk, and what it must remember of its own operations. */
export interface Walk {
  readonly cluster: TestCluster;
  readonly resources: ClusterResources;
  readonly databaseUrl: string;
  /** As the superuser: the people who act with SQL, and the walk itself. */
  readonly db: Database;
  readonly random: Random;
  readonly memory: Memory;
  /** The Secrets that belong to no ApiToken, as they were created, by name. */
  readonly foreign: Map<string, Secret>;
  /** The existing policies by name. `blocks` has the existing blocks, of this cluster and of another. */
  readonly policies: Map<string, WalkPolicy>;
  readonly blocks: Map<string, { owner: string; isEffective: boolean }>;
  /** What keeps Secrets from being written: how each can be taken away again. */
  readonly obstacles: Map<string, () => Promise<unknown>>;
}

/** As much of a policy as decides what must be true. */
export interface WalkPolicy {
  readonly priority: number;
  readonly maxTokensPerOwner: number;
  readonly owners: readonly string[];
  readonly scopes: readonly string[];
}

/** As much of a spec as decides what must be true. */
export interface WalkSpec {
  readonly owner: string;
  readonly scopes?: readonly string[];
  readonly revoked?: boolean;
  readonly suspend?: boolean;
  readonly secret?: { readonly name?: string; readonly key?: string; readonly labels?: object };
}

export const specOf = ({ spec }: ApiToken) => spec as unknown as WalkSpec;

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

/** All Secrets of the namespace but the keyring. */
export async function listSecrets({ cluster: { transport, namespace } }: Walk): Promise<Secret[]> {
  const { items } = await transport.request<{ items: Secret[] }>("GET", secretsPath(namespace));
  return items.filter(({ metadata }) => metadata.name !== "apitoken-keyring");
}

/** One of the Secrets that the controller has written; undefined if there is none. */
export async function pickSecret(walk: Walk): Promise<Secret | undefined> {
  const ours = (await listSecrets(walk)).filter(
    (secret) => isControlled(secret) && !walk.foreign.has(secret.metadata.name),
  );
  return ours.length === 0 ? undefined : walk.random.pick(ours);
}

/** Whether a Secret has the owner reference that the controller gives it. */
export function isControlled({ metadata }: Secret): boolean {
  return metadata.ownerReferences?.[0]?.kind === "ApiToken";
}

export function patchSecret({ cluster: { transport, namespace } }: Walk, name: string, body: object): Promise<Secret> {
  return transport.request("PATCH", `${secretsPath(namespace)}/${name}`, {
    contentType: "application/merge-patch+json",
    body,
  });
}

export async function removeSecret({ cluster, foreign }: Walk, name: string): Promise<void> {
  await cluster.transport.request("DELETE", `${secretsPath(cluster.namespace)}/${name}`);
  foreign.delete(name);
}

/** Whether an operation failed only because its object was just deleted or changed, or because of an obstacle. */
export function isPassedBy(error: unknown): boolean {
  if (isCode(error, 404, 409)) return true;
  return error instanceof KubeApiError && isSecretsPath(error.path) && [403, 500].includes(error.code);
}

/** Describes everything that exists, line by line and without plaintext, to explain a failure. */
export async function describeScene(walk: Walk): Promise<string> {
  const tokens = (await listTokens(walk)).map(({ metadata, spec, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    const said = `${ready?.status} ${ready?.reason}, token ${status?.tokenId}, revision ${status?.revision}`;
    return `${metadata.name} ${metadata.uid} ${JSON.stringify(spec)}: ${said}, Secret ${status?.secretName}`;
  });
  const rows = await walk.db.query<{ line: string }>({
    text: `select concat_ws(' ', name, revision, id, 'expires', expires_at, 'grace', grace_seconds, 'revoked', revoked_at,
             revocation_reason, case when supersedes then 'supersedes' end,
             case when apitoken.is_accepted(t, now()) then 'ACCEPTED' end) as line
           from apitoken.tokens t order by name, revision`,
  });
  const secrets = (await listSecrets(walk)).map(({ metadata: { name, annotations, ownerReferences } }) => {
    const owner = `${ownerReferences?.[0]?.name ?? "nobody"} ${ownerReferences?.[0]?.uid ?? ""}`;
    return `Secret ${name} of ${owner} with ${annotations?.["apitoken.dev/token-id"] ?? "no token"}`;
  });
  const wanted = [...walk.policies, ...walk.blocks].map((entry) => JSON.stringify(entry));
  return [...tokens, ...rows.map(({ line }) => line), ...secrets, ...wanted, ...walk.obstacles.keys()].join("\n");
}
