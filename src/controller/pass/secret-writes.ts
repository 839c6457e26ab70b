/*
 * Every write to an ApiToken's Secret. Users and other tools edit Secrets too, so each write changes only what is ours
 * and only on the version that was observed. It then updates the cache, so that the next pass does not see the old
 * state.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import { API_VERSION, MANAGED_LABEL, type OwnerReference, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import { abridgeSecret, reduceSecret, type Secret, type SecretView } from "../../kube/resources/secret.ts";
import {
  createSecret,
  decorateSecret,
  deleteSecret,
  getSecret,
  replaceSecretValues,
} from "../../kube/resources/secret-api.ts";
import type { TokenHash } from "../../runtime/token-hash.ts";
import { type ContentsSubject, proveHash, renderContents, sealContents } from "../../token/contents.ts";
import { diffDecoration, PROOF_ANNOTATION, SEAL_ANNOTATION, wantDecoration } from "../../token/decoration.ts";
import { findPepper, hashToken, type Key } from "../../token/keyring.ts";
import type { DesiredToken } from "../../token/model.ts";
import type { Action } from "../../token/plan/action.ts";
import type { NewToken } from "../../token/token-string.ts";
import { keyOf } from "./caches.ts";
import type { ReadContext } from "./context.ts";
import type { Snapshot } from "./observe.ts";

/** The object has changed since it was observed. The next pass observes it again. */
export class StaleViewError extends Error {
  override readonly name = "StaleViewError";
}

/** A token that this pass has created, with the pepper and the hash of its row. */
export interface IssuedToken extends NewToken {
  readonly pepper: Key;
  readonly hash: TokenHash;
}

/** The ApiToken whose Secret is written, and what was observed of it. */
export interface SecretTarget {
  readonly resource: ApiToken;
  readonly desired: DesiredToken;
  readonly snapshot: Snapshot;
}

/** Writes the token that this pass has issued. */
export async function writeSecret(
  context: ReadContext,
  target: SecretTarget,
  issued: IssuedToken | undefined,
  { expiresAt, handledRotateAt }: Action & { kind: "writeSecret" },
): Promise<void> {
  if (issued === undefined) throw new Error("a Secret is to be written, but no token was issued in this pass");
  const { id, plaintext, pepper, hash } = issued;
  const subject = { id, owner: target.desired.owner, expiresAt };
  await writeContents(context, target, { subject, plaintext, pepper, hash, handledRotateAt });
}

/** Writes the same token to a Secret of another name or with other contents; reads it from the Secret that holds it. */
export async function rewriteSecret(
  context: ReadContext,
  target: SecretTarget,
  { tokenId, from, expiresAt }: Action & { kind: "rewriteSecret" },
): Promise<void> {
  const record = target.snapshot.tokens.find((token) => token.id === tokenId);
  const pepper = record && findPepper(context.keyring, record.keyId);
  if (record === undefined || pepper === undefined) throw new StaleViewError(`the row ${tokenId} is not known`);
  const source = pickSeen(target.snapshot, from);
  await writeContents(context, target, {
    subject: { id: record.id, owner: target.desired.owner, expiresAt },
    plaintext: await readPlaintext(context, source, record, pepper),
    pepper,
    hash: record,
    handledRotateAt: source.metadata.annotations[ROTATE_ANNOTATION],
  });
}

/** Corrects labels, annotations and the owner reference of the Secret. Its values are not touched. */
export async function decorateOwnSecret(
  context: ReadContext,
  { resource, snapshot: { secret, wantedDecoration } }: Pick<SecretTarget, "resource" | "snapshot">,
): Promise<void> {
  if (secret === undefined || wantedDecoration === undefined) return;
  const patch = { ...diffDecoration(secret.metadata, wantedDecoration), ...adopt(secret, resource) };
  remember(context, await decorateSecret(context.transport, secret, patch));
}

export async function deleteOwnSecret(
  { transport, caches }: ReadContext,
  snapshot: Snapshot,
  name: string,
): Promise<void> {
  const seen = pickSeen(snapshot, name);
  await deleteSecret(transport, seen);
  caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
}

/**
 * Releases a Secret that is to outlive its ApiToken: removes our label and the owner reference, and stops caching it.
 */
export async function releaseSecret(
  { transport, caches }: ReadContext,
  snapshot: Snapshot,
  name: string,
): Promise<void> {
  const seen = pickSeen(snapshot, name);
  await decorateSecret(transport, seen, { labels: { [MANAGED_LABEL]: null }, annotations: {}, ownerReferences: [] });
  caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
}

/** The observed Secret of that name. Throws for one that was not observed to be ours: no action may touch it. */
function pickSeen({ secret, strays }: Snapshot, name: string): SecretView {
  const seen = [secret, ...strays].find((view) => view?.metadata.name === name);
  if (seen === undefined) throw new Error(`the plan acts on Secret "${name}", which was not seen`);
  return seen;
}

/** What an ApiToken's Secret should contain. */
interface SecretContents {
  readonly subject: ContentsSubject;
  readonly plaintext: string;
  /** The pepper and the hash of the token's row. */
  readonly pepper: Key;
  readonly hash: TokenHash;
  /** The rotation request that this token fulfils. */
  readonly handledRotateAt: string | undefined;
}

/** Writes the wanted Secret, in a single update if it exists. */
async function writeContents(
  context: ReadContext,
  { resource, desired, snapshot: { secret: seen } }: SecretTarget,
  { subject, plaintext, pepper, hash, handledRotateAt }: SecretContents,
): Promise<void> {
  const values = renderContents(desired.secret, subject, plaintext);
  const fingerprints = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, hashToken(value, pepper)]),
  );
  const seal = sealContents(desired.secret, subject, fingerprints, pepper);
  const proof =
    hash.hashAlgorithm === "bcrypt" ? proveHash(hashToken(plaintext, pepper), hash.hash, pepper) : undefined;
  const extra = {
    ...(proof === undefined ? {} : { [PROOF_ANNOTATION]: proof }),
    ...(seal === undefined ? {} : { [SEAL_ANNOTATION]: seal }),
    ...(handledRotateAt === undefined ? {} : { [ROTATE_ANNOTATION]: handledRotateAt }),
  };
  const wanted = wantDecoration(desired, MANAGED_LABEL, subject);
  const decoration = { labels: wanted.labels, annotations: { ...wanted.annotations, ...extra } };

  if (seen !== undefined && !seen.mustReplace) {
    const patch = { ...diffDecoration(seen.metadata, decoration), ...adopt(seen, resource) };
    remember(context, await replaceSecretValues(context.transport, seen, values, patch));
    return;
  }
  // An update cannot change an immutable Secret, or the type of one.
  if (seen !== undefined) await deleteSecret(context.transport, seen);
  const { namespace } = resource.metadata;
  const owner = ownerReferenceTo(resource);
  const { name } = desired.secret;
  remember(context, await createSecret(context.transport, { namespace, name, owner, decoration, values }));
}

/**
 * Reads a token's plaintext from the Secret that was observed to hold it. Throws a StaleViewError if it no longer does.
 */
async function readPlaintext(
  { transport, hasher }: ReadContext,
  seen: SecretView,
  hash: TokenHash,
  pepper: Key,
): Promise<string> {
  const secret = await getSecret(transport, seen.metadata.namespace, seen.metadata.name);
  for (const value of Object.values(secret?.data ?? {})) {
    const bytes = Buffer.from(value, "base64");
    if (await hasher.isMatch(hashToken(bytes, pepper), hash)) return bytes.toString();
  }
  throw new StaleViewError(`the Secret ${keyOf(seen.metadata)} no longer holds the token`);
}

/** Without this, a pass that runs before the watch event arrives would see the state before this write. */
function remember({ caches, keyring }: ReadContext, secret: Secret): void {
  caches.secrets.upsert(abridgeSecret(reduceSecret(secret, keyring)));
}

/** Restores the owner reference if somebody has removed it. */
function adopt(seen: SecretView, resource: ApiToken): { ownerReferences?: OwnerReference[] } {
  return seen.owner === undefined ? { ownerReferences: [ownerReferenceTo(resource)] } : {};
}

function ownerReferenceTo({ metadata }: ApiToken): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "ApiToken",
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: false,
  };
}
