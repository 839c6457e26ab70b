/*
 * What must be true after any sequence of operations and faults, once nothing is left to do. Each function is one
 * promise of the operator.
 */
import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { loadKeyring } from "../../../src/controller/keyring/secret.ts";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { hashToken, type Keyring } from "../../../src/token/keyring.ts";
import { conditionOf } from "../cluster.ts";
import type { TokenRowView } from "../database.ts";
import { listSecrets, listTokens, type Walk } from "./world.ts";

interface Scene {
  readonly walk: Walk;
  readonly tokens: readonly ApiToken[];
  readonly secrets: readonly Secret[];
  readonly rows: readonly (TokenRowView & { id: string })[];
  readonly keyring: Keyring;
}

/** Checks all invariants. The controller must be idle. */
export async function expectInvariants(walk: Walk): Promise<void> {
  const { cluster, databaseUrl } = walk;
  const [tokens, secrets, rows, keyring] = await Promise.all([
    listTokens(walk),
    listSecrets(walk),
    runAsSuperuser<TokenRowView>(
      databaseUrl,
      "select *, apitoken.is_live(tokens, now()) as is_live from apitoken.tokens order by name, revision",
    ),
    loadKeyring(cluster.transport, { namespace: cluster.namespace, name: "apitoken-keyring" }, async () => true),
  ]);
  const scene: Scene = { walk, tokens, secrets, rows, keyring };
  expectObserved(scene);
  expectNoOrphans(scene);
  expectReadyVerifies(scene);
  expectEnds(scene);
  expectLimits(scene);
  expectForeignUntouched(scene);
  await expectNoPlaintext(scene);
}

const reasonOf = (token: ApiToken) => conditionOf(token, "Ready")?.reason ?? "";
const isSuspended = (token: ApiToken) => (token.spec as { suspend?: boolean }).suspend === true;
const liveRowsOf = ({ rows }: Scene, { metadata }: ApiToken) =>
  rows.filter((row) => row.is_live && row.resource_uid === metadata.uid);

/** Nothing is waiting to be deleted, and every status is about the current spec. */
function expectObserved({ tokens }: Scene): void {
  for (const { metadata, status } of tokens) {
    expect(metadata.deletionTimestamp, `${metadata.name} is being deleted`).toBeUndefined();
    expect(status?.observedGeneration, `generation of ${metadata.name}`).toBe(metadata.generation);
    expect(status?.failedAttempts, `failed attempts of ${metadata.name}`).toBeUndefined();
  }
}

/** Reasons with which an ApiToken is left alone: a live row may stay although somebody has destroyed its Secret. */
const WAITING = ["Suspended", "PolicyMissing"];

/** Each live row is held by a Secret, or has its end set (a previous token in its overlap), or its ApiToken waits. */
function expectNoOrphans(scene: Scene): void {
  const { rows, tokens, secrets, keyring } = scene;
  const held = new Set(secrets.flatMap((secret) => hashesOf(secret, keyring)));
  for (const row of rows.filter(({ is_live }) => is_live)) {
    const name = `the live row ${row.id} (${row.name}, revision ${row.revision})`;
    const token = tokens.find(({ metadata }) => metadata.uid === row.resource_uid);
    expect(token, `the ApiToken of ${name}`).toBeDefined();
    if (token === undefined || held.has(row.hash.toString("hex")) || WAITING.includes(reasonOf(token))) continue;
    expect(row.revoked_at, `the end of ${name}, which no Secret holds`).not.toBeNull();
  }
}

function hashesOf({ data = {} }: Secret, { peppers }: Keyring): string[] {
  return Object.values(data).flatMap((value) =>
    peppers.map((pepper) => hashToken(Buffer.from(value, "base64"), pepper).toString("hex")),
  );
}

/** The Secret of each Ready ApiToken holds a live token of that ApiToken, with what the spec asks for. */
function expectReadyVerifies(scene: Scene): void {
  for (const token of scene.tokens) {
    if (conditionOf(token, "Ready")?.status !== "True") continue;
    const { name } = token.metadata;
    const secret = scene.secrets.find(({ metadata }) => metadata.name === token.status?.secretName);
    const hashes = secret === undefined ? [] : hashesOf(secret, scene.keyring);
    const row = liveRowsOf(scene, token).find(({ hash }) => hashes.includes(hash.toString("hex")));
    expect(
      row,
      `${name} is Ready, but its Secret ${token.status?.secretName} holds no live token of its own`,
    ).toBeDefined();
    expect(row?.id, `the token in the status of ${name}`).toBe(token.status?.tokenId);
    if (WAITING.includes(reasonOf(token))) continue;
    const spec = token.spec as { scopes?: string[]; secret?: { key?: string; labels?: object } };
    expect(row?.scopes, `scopes of ${name}`).toEqual(spec.scopes ?? []);
    const value = Buffer.from(secret?.data?.[spec.secret?.key ?? "token"] ?? "", "base64").toString();
    expect(value.slice(4, 16), `the token under ${name}'s key`).toBe(row?.id);
    expect(secret?.metadata.labels).toMatchObject({ "apitoken.dev/managed": "true", ...spec.secret?.labels });
    const current = liveRowsOf(scene, token).filter(({ revoked_at }) => revoked_at === null);
    expect(
      current.map(({ id }) => id),
      `current tokens of ${name}`,
    ).toEqual([row?.id]);
  }
}

const ENDED = ["RevokedBySpec", "OwnerBlocked", "PolicyDenied", "Superseded", "Expired"];

/** ApiTokens that are revoked, blocked, denied, superseded or expired have no live row. */
function expectEnds(scene: Scene): void {
  const blocked = [...scene.walk.blocks.values()].filter(({ isEffective }) => isEffective).map(({ owner }) => owner);
  for (const row of scene.rows.filter(({ is_live }) => is_live)) {
    expect(blocked, `the owner of the live row ${row.id} (${row.name})`).not.toContain(row.owner);
  }
  for (const token of scene.tokens) {
    const { name } = token.metadata;
    if ((token.spec as { revoked?: boolean }).revoked) {
      expect(liveRowsOf(scene, token), `live rows of ${name}, which is revoked`).toEqual([]);
    }
    if (ENDED.includes(reasonOf(token))) {
      expect(liveRowsOf(scene, token), `live rows of ${name}, which is ${reasonOf(token)}`).toEqual([]);
    }
  }
}

/** No owner has more live ApiTokens than the policy allows, not counting suspended ones, which are left alone. */
function expectLimits(scene: Scene): void {
  const [policy] = [...scene.walk.policies].sort(
    ([left, { priority: first }], [right, { priority: second }]) => second - first || (left < right ? -1 : 1),
  );
  if (policy === undefined) return;
  const live = new Map<string, Set<string>>();
  for (const token of scene.tokens.filter((candidate) => !isSuspended(candidate))) {
    const rows = liveRowsOf(scene, token).filter(({ revoked_at }) => revoked_at === null);
    for (const { owner, name } of rows) live.set(owner, (live.get(owner) ?? new Set()).add(name));
  }
  for (const [owner, names] of live) {
    expect(names.size, `live ApiTokens of ${owner}: ${[...names]}`).toBeLessThanOrEqual(policy[1].max);
  }
}

function expectForeignUntouched({ walk, secrets }: Scene): void {
  for (const [name, created] of walk.foreign) {
    const { metadata, data } = secrets.find((secret) => secret.metadata.name === name) ?? {};
    expect({ uid: metadata?.uid, version: metadata?.resourceVersion, data }, `the foreign Secret ${name}`).toEqual({
      uid: created.metadata.uid,
      version: created.metadata.resourceVersion,
      data: created.data,
    });
  }
}

const PLAINTEXT = /apt_[0-9A-Za-z]{61}/;

async function expectNoPlaintext({ walk: { cluster, databaseUrl }, tokens, rows }: Scene): Promise<void> {
  const events = cluster.transport.request("GET", `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`);
  const trail = runAsSuperuser(databaseUrl, "select * from apitoken.security_events");
  for (const place of [tokens, rows, await events, await trail]) {
    expect(PLAINTEXT.exec(JSON.stringify(place))?.[0]).toBeUndefined();
  }
}
