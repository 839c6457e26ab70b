/*
 * Every write of a Secret. A Secret belongs to users: each write changes only what is ours, on the version that was
 * seen, and leaves the cache as if its watch event had already arrived.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import { API_VERSION, MANAGED_LABEL, type OwnerReference, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import { reduceSecret, type Secret, type SecretView } from "../../kube/resources/secret.ts";
import {
  createSecret,
  decorateSecret,
  deleteSecret,
  getSecret,
  replaceSecretValues,
} from "../../kube/resources/secret-api.ts";
import { isHashOf, type TokenHash } from "../../runtime/token-hash.ts";
import { type ContentsSubject, proveHash, renderContents, sealContents } from "../../token/contents.ts";
import { diffDecoration, PROOF_ANNOTATION, SEAL_ANNOTATION, wantDecoration } from "../../token/decoration.ts";
import { findPepper, hashToken, type Key } from "../../token/keyring.ts";
import type { DesiredToken } from "../../token/model.ts";
import type { Action } from "../../token/plan/action.ts";
import type { NewToken } from "../../token/token-string.ts";
import { keyOf } from "./caches.ts";
import type { ReadContext } from "./context.ts";
import type { Observation } from "./observe.ts";

/** What was observed has changed since: the next pass sees how. */
export class StaleViewError extends Error {
  override readonly name = "StaleViewError";
}

/** A token that this pass has made, with the pepper and the hash of its row. */
export interface IssuedToken extends NewToken {
  readonly pepper: Key;
  readonly hash: TokenHash;
}

/** Whose Secret is written, and what was seen of it. */
export interface SecretTarget {
  readonly resource: ApiToken;
  readonly desired: DesiredToken;
  readonly observation: Observation;
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

/** Writes the same token again, from the Secret that holds it: the spec asks for another name, or for other contents. */
export async function rewriteSecret(
  context: ReadContext,
  target: SecretTarget,
  { tokenId, from, expiresAt }: Action & { kind: "rewriteSecret" },
): Promise<void> {
  const record = target.observation.tokens.find((token) => token.id === tokenId);
  const pepper = record && findPepper(context.keyring, record.keyId);
  if (record === undefined || pepper === undefined) throw new StaleViewError(`the row ${tokenId} is not known`);
  const source = pickSeen(target.observation, from);
  await writeContents(context, target, {
    subject: { id: record.id, owner: target.desired.owner, expiresAt },
    plaintext: await readPlaintext(context, source, record, pepper),
    pepper,
    hash: record,
    handledRotateAt: source.metadata.annotations[ROTATE_ANNOTATION],
  });
}

/** Corrects labels, annotations and the owner reference of the Secret; its values stay. */
export async function decorateOwnSecret(
  context: ReadContext,
  { resource, observation: { secret, wantedDecoration } }: Pick<SecretTarget, "resource" | "observation">,
): Promise<void> {
  if (secret === undefined || wantedDecoration === undefined) return;
  const patch = { ...diffDecoration(secret.metadata, wantedDecoration), ...adopt(secret, resource) };
  remember(context, await decorateSecret(context.transport, secret, patch));
}

export async function deleteOwnSecret(
  { transport, caches }: ReadContext,
  observation: Observation,
  name: string,
): Promise<void> {
  const seen = pickSeen(observation, name);
  await deleteSecret(transport, seen);
  caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
}

/** Gives up a Secret that outlives its ApiToken: nobody owns it afterwards, and it is no longer watched. */
export async function releaseSecret(
  { transport, caches }: ReadContext,
  observation: Observation,
  name: string,
): Promise<void> {
  const seen = pickSeen(observation, name);
  await decorateSecret(transport, seen, { labels: { [MANAGED_LABEL]: null }, annotations: {}, ownerReferences: [] });
  caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
}

/** The Secret of that name among those that were seen to be ours: no action is carried out on any other. */
function pickSeen({ secret, strays }: Observation, name: string): SecretView {
  const seen = [secret, ...strays].find((view) => view?.metadata.name === name);
  if (seen === undefined) throw new Error(`the plan acts on Secret "${name}", which was not seen`);
  return seen;
}

/** What an ApiToken's Secret is to contain. */
interface SecretContents {
  readonly subject: ContentsSubject;
  readonly plaintext: string;
  /** The pepper and the hash of the token's row. */
  readonly pepper: Key;
  readonly hash: TokenHash;
  /** The request for a rotation that the token answers. */
  readonly handledRotateAt: string | undefined;
}

/** Writes the wanted Secret, in one update where it exists already. */
async function writeContents(
  context: ReadContext,
  { resource, desired, observation: { secret: seen } }: SecretTarget,
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
  // No update changes an immutable Secret, or a Secret's type.
  if (seen !== undefined) await deleteSecret(context.transport, seen);
  const { namespace } = resource.metadata;
  const owner = ownerReferenceTo(resource);
  const { name } = desired.secret;
  remember(context, await createSecret(context.transport, { namespace, name, owner, decoration, values }));
}

/** The plaintext of a token, from the Secret that was seen to hold it. Throws a StaleViewError when it no longer does. */
async function readPlaintext(
  { transport }: ReadContext,
  seen: SecretView,
  hash: TokenHash,
  pepper: Key,
): Promise<string> {
  const secret = await getSecret(transport, seen.metadata.namespace, seen.metadata.name);
  for (const value of Object.values(secret?.data ?? {})) {
    const bytes = Buffer.from(value, "base64");
    if (await isHashOf(hashToken(bytes, pepper), hash)) return bytes.toString();
  }
  throw new StaleViewError(`the Secret ${keyOf(seen.metadata)} no longer holds the token`);
}

/** The next pass must not see a state from before this write. */
function remember({ caches, keyring }: ReadContext, secret: Secret): void {
  caches.secrets.upsert(reduceSecret(secret, keyring));
}

/** The owner reference, where somebody has removed it. */
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
