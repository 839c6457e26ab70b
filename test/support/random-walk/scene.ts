/*
 * Everything that the promises of a random walk are about, read at one moment from where it is stored, and what the walk itself
 * has asked for.
 */
import { loadKeyring } from "../../../src/controller/keyring/secret.ts";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import type { Keyring } from "../../../src/token/keyring.ts";
import { conditionOf } from "../cluster.ts";
import type { TokenRowView } from "../database.ts";
import { tokensIn } from "./memory.ts";
import { listSecrets, listTokens, specOf, type Walk, type WalkPolicy } from "./world.ts";

export type Row = TokenRowView & { readonly is_accepted: boolean; readonly supersedes: boolean };

export interface Scene {
  readonly walk: Walk;
  readonly tokens: readonly ApiToken[];
  readonly secrets: readonly Secret[];
  readonly rows: readonly Row[];
  readonly keyring: Keyring;
  /** The database's time. */
  readonly now: Date;
}

export async function readScene(walk: Walk): Promise<Scene> {
  const { cluster, db } = walk;
  const [tokens, secrets, rows, keyring, [clock]] = await Promise.all([
    listTokens(walk),
    listSecrets(walk),
    db.query<Row & Record<string, unknown>>({
      text: `select *, apitoken.is_live(t, now()) as is_live, apitoken.is_accepted(t, now()) as is_accepted
             from apitoken.tokens t order by name, revision`,
    }),
    loadKeyring(cluster.transport, { namespace: cluster.namespace, name: "apitoken-keyring" }, async () => true),
    db.query<{ now: Date }>({ text: "select now()" }),
  ]);
  return { walk, tokens, secrets, rows, keyring, now: clock?.now as Date };
}

export const reasonOf = (token: ApiToken) => conditionOf(token, "Ready")?.reason ?? "";

export const isReady = (token: ApiToken) => conditionOf(token, "Ready")?.status === "True";

export const acceptedRows = ({ rows }: Scene) => rows.filter(({ is_accepted }) => is_accepted);

export const rowsOf = ({ rows }: Scene, { metadata }: ApiToken) =>
  rows.filter(({ resource_uid }) => resource_uid === metadata.uid);

export const describeRow = ({ id, name, revision }: Row) => `the token ${id} (${name}, revision ${revision})`;

/** The ids of the tokens in the Secrets of an ApiToken: the one that it asks for, and those that are its own. */
export function idsInSecretsOf({ secrets }: Scene, token: ApiToken): string[] {
  const wanted = specOf(token).secret?.name ?? token.metadata.name;
  return secrets
    .filter(({ metadata }) => metadata.name === wanted || metadata.ownerReferences?.[0]?.uid === token.metadata.uid)
    .flatMap((secret) => [...tokensIn(secret).keys()]);
}

/** The policy of the walk's own that applies; undefined if it has none, and then the tests' policy applies or none. */
export function policyOf({ policies }: Walk): WalkPolicy | undefined {
  const [first] = [...policies].sort(
    ([left, { priority: low }], [right, { priority: high }]) => high - low || (left < right ? -1 : 1),
  );
  return first?.[1];
}

/** Whether the policy forbids the owner or a scope. */
export function isDenied(policy: WalkPolicy | undefined, token: ApiToken): boolean {
  const { owner, scopes = [] } = specOf(token);
  const allows = (globs: readonly string[], value: string) =>
    globs.some((glob) => glob === value || (glob.endsWith("*") && value.startsWith(glob.slice(0, -1))));
  return (
    policy !== undefined && !(allows(policy.owners, owner) && scopes.every((scope) => allows(policy.scopes, scope)))
  );
}
