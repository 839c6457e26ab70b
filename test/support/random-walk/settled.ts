/*
 * What must be true in addition once nothing keeps the controller from its work, and nothing is left to do.
 */
import { expect } from "vitest";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
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

/** Checks all of it. */
export function expectSettled(scene: Scene): void {
  expectObserved(scene);
  expectReasons(scene);
  expectHeld(scene);
  expectReadyAsDesired(scene);
}

/** Nothing is waiting to be deleted, and every status is about the current spec. */
function expectObserved({ tokens }: Scene): void {
  for (const { metadata, status } of tokens) {
    expect(metadata.deletionTimestamp, `${metadata.name} is being deleted`).toBeUndefined();
    expect(status?.observedGeneration, `generation of ${metadata.name}`).toBe(metadata.generation);
    expect(status?.failedAttempts, `failed attempts of ${metadata.name}`).toBeUndefined();
  }
}

/** What was ended says so. */
function expectReasons({ tokens, walk }: Scene): void {
  const policy = policyOf(walk);
  for (const token of tokens) {
    const { revoked } = specOf(token);
    const why = revoked
      ? ["RevokedBySpec"]
      : isDenied(policy, token)
        ? ["PolicyDenied", "OwnerBlocked", "RevokedBySpec"]
        : [];
    if (why.length > 0) expect(why, `the reasons that ${token.metadata.name} may give`).toContain(reasonOf(token));
  }
}

/** Reasons with which an ApiToken is left alone: a token may stay although somebody has destroyed its Secret. */
const WAITING = ["Suspended", "PolicyMissing"];

/** Each accepted token is in a Secret of its ApiToken, or is the one before it, whose end is set; or its ApiToken waits. */
function expectHeld(scene: Scene): void {
  for (const row of acceptedRows(scene)) {
    const token = scene.tokens.find(({ metadata }) => metadata.uid === row.resource_uid) as ApiToken;
    const ids = idsInSecretsOf(scene, token);
    if (ids.includes(row.id) || WAITING.includes(reasonOf(token))) continue;
    const later = rowsOf(scene, token).filter(({ is_accepted, revision }) => is_accepted && revision > row.revision);
    expect(
      later.filter(({ id }) => ids.includes(id)).length,
      `the later tokens in the Secret of ${describeRow(row)}, which no Secret holds and is accepted`,
    ).toBe(1);
    expect(later.length, `the accepted tokens after ${describeRow(row)}`).toBe(1);
    expect(row.revoked_at, `the end of ${describeRow(row)}, which no Secret holds`).not.toBeNull();
  }
}

/** The Secret of each Ready ApiToken holds a token with what the spec asks for, and no other token of it is current. */
function expectReadyAsDesired(scene: Scene): void {
  for (const token of scene.tokens.filter(isReady)) {
    const { name } = token.metadata;
    const secret = scene.secrets.find(({ metadata }) => metadata.name === token.status?.secretName);
    const row = rowsOf(scene, token).find(({ id }) => id === token.status?.tokenId);
    expect(row?.is_live, `whether the token in the status of ${name} is live`).toBe(true);
    if (WAITING.includes(reasonOf(token))) continue;
    const { scopes = [], secret: wanted = {} } = specOf(token);
    expect(row?.scopes, `scopes of ${name}`).toEqual(scopes);
    const value = Buffer.from(secret?.data?.[wanted.key ?? "token"] ?? "", "base64").toString();
    expect(value.slice(4, 16), `the token under ${name}'s key`).toBe(row?.id);
    expect(secret?.metadata.labels).toMatchObject({ "apitoken.dev/managed": "true", ...wanted.labels });
    const current = rowsOf(scene, token).filter(({ is_live, revoked_at }) => is_live && revoked_at === null);
    expect(
      current.map(({ id }) => id),
      `current tokens of ${name}`,
    ).toEqual([row?.id]);
  }
}
