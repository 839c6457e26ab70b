/*
 * What must be true once the controller has done what it can, even if something keeps it from writing Secrets. Each function is
 * one promise of the operator.
 */
import { expect } from "vitest";
import { verifyToken } from "../../../local/verify-token.ts";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { PLAINTEXT } from "./memory.ts";
import {
  acceptedRows,
  describeRow,
  idsInSecretsOf,
  isDenied,
  isReady,
  policyOf,
  reasonOf,
  rowsOf,
  type Scene,
} from "./scene.ts";
import { specOf } from "./world.ts";

/** Checks all of them. */
export async function expectSafety(scene: Scene): Promise<void> {
  expectEnds(scene);
  expectOwned(scene);
  expectLimits(scene);
  expectHonesty(scene);
  expectForeignUntouched(scene);
  await expectVerdicts(scene);
  await expectNoPlaintext(scene);
}

/** Nothing is accepted of an ApiToken that was ended, whoever has ended it and however. */
function expectEnds(scene: Scene): void {
  const { walk, tokens, rows } = scene;
  const blocked = [...walk.blocks.values()].filter(({ isEffective }) => isEffective).map(({ owner }) => owner);
  for (const row of acceptedRows(scene)) {
    expect(blocked, `the owner of ${describeRow(row)}, which is accepted`).not.toContain(row.owner);
  }
  const policy = policyOf(walk);
  for (const token of tokens) {
    const { name, deletionTimestamp } = token.metadata;
    const why = [
      specOf(token).revoked ? "revoked" : [],
      deletionTimestamp === undefined ? [] : "being deleted",
      isDenied(policy, token) ? "denied by its policy" : [],
    ].flat();
    if (why.length === 0) continue;
    const accepted = rowsOf(scene, token).filter(({ is_accepted }) => is_accepted);
    expect(accepted.map(describeRow), `what is accepted of ${name}, which is ${why}`).toEqual([]);
  }
  for (const { id, revoked_at, is_accepted } of rows) {
    if (revoked_at !== null && revoked_at <= scene.now) expect(is_accepted, `${id} was revoked`).toBe(false);
  }
}

/** Each accepted token belongs to an ApiToken that exists. */
function expectOwned(scene: Scene): void {
  const uids = scene.tokens.map(({ metadata }) => metadata.uid);
  for (const row of acceptedRows(scene)) {
    expect(uids, `the ApiTokens, of which one should have ${describeRow(row)}`).toContain(row.resource_uid);
  }
}

/**
 * No owner has more ApiTokens with an accepted token than the policy allows. Suspended ones are left alone, and a token that is to
 * take the place of another does not count until it is in its Secret.
 */
function expectLimits(scene: Scene): void {
  const policy = policyOf(scene.walk);
  if (policy === undefined) return;
  const counted = new Map<string, Set<string>>();
  for (const token of scene.tokens.filter((candidate) => !specOf(candidate).suspend)) {
    for (const { owner, name, is_accepted, supersedes } of rowsOf(scene, token)) {
      if (is_accepted && !supersedes) counted.set(owner, (counted.get(owner) ?? new Set()).add(name));
    }
  }
  for (const [owner, names] of counted) {
    expect(names.size, `ApiTokens of ${owner} with an accepted token: ${[...names]}`).toBeLessThanOrEqual(
      policy.maxTokensPerOwner,
    );
  }
}

const ENDED = ["RevokedBySpec", "OwnerBlocked", "PolicyDenied", "Superseded"];

/**
 * If an ApiToken says that it is Ready, its Secret holds a token of its own that is live, and its end is in the future. If it says
 * that it was ended, nothing of it is accepted.
 */
function expectHonesty(scene: Scene): void {
  for (const token of scene.tokens.filter((candidate) => ENDED.includes(reasonOf(candidate)))) {
    const accepted = rowsOf(scene, token).filter(({ is_accepted }) => is_accepted);
    expect(accepted.map(describeRow), `accepted of ${token.metadata.name}, which is ${reasonOf(token)}`).toEqual([]);
  }
  for (const token of scene.tokens.filter(isReady)) {
    const { name } = token.metadata;
    const ids = idsInSecretsOf(scene, token);
    const held = rowsOf(scene, token).filter(({ id, is_live }) => is_live && ids.includes(id));
    expect(held, `the live tokens in the Secret of ${name}, which is Ready`).not.toEqual([]);
    expect(Date.parse(token.status?.expiresAt ?? ""), `the end in the status of ${name}`).toBeGreaterThan(
      scene.now.getTime(),
    );
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

const hasher = createTokenHasher();

/** Every token that was ever in a Secret is verified if it is accepted, and refused if it is not. */
async function expectVerdicts({ walk, rows, keyring }: Scene): Promise<void> {
  const { memory, db } = walk;
  for (const [id, plaintext] of memory.plaintexts) {
    const row = rows.find((candidate) => candidate.id === id);
    const isVerified = (await verifyToken({ db, keyring, hasher }, plaintext)) !== undefined;
    expect(isVerified, `whether ${row ? describeRow(row) : id} is verified`).toBe(row?.is_accepted === true);
    if (memory.dead.has(id)) expect(isVerified, `whether ${id} is verified, which was dead`).toBe(false);
  }
}

async function expectNoPlaintext({ walk: { cluster, db }, tokens, rows }: Scene): Promise<void> {
  const events = cluster.transport.request("GET", `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`);
  const trail = db.query({ text: "select * from apitoken.security_events" });
  for (const place of [tokens, rows, await events, await trail]) {
    expect(JSON.stringify(place).match(PLAINTEXT)).toBeNull();
  }
}
