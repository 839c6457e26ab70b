import type { ApiToken } from "../../kube/resources/api-token.ts";
import { API_VERSION, MANAGED_LABEL, type OwnerReference, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import { reduceSecret, type Secret, type SecretView } from "../../kube/resources/secret.ts";
import {
  createSecret,
  decorateSecret,
  deleteSecret,
  getSecret,
  type MetadataPatch,
  replaceSecretValues,
} from "../../kube/resources/secret-api.ts";
import { isHashOf, type TokenHash } from "../../runtime/token-hash.ts";
import { type ContentsSubject, proveHash, renderContents, sealContents } from "../../token/contents.ts";
import { diffDecoration, PROOF_ANNOTATION, SEAL_ANNOTATION, wantDecoration } from "../../token/decoration.ts";
import { hashToken, type Key } from "../../token/keyring.ts";
import type { DesiredToken } from "../../token/model.ts";
import { keyOf, type ObserveContext } from "./caches.ts";

/** What was looked at has changed since: the next pass sees how. */
export class StaleViewError extends Error {
  override readonly name = "StaleViewError";
}

/** What is to be in an ApiToken's Secret. */
export interface SecretContents {
  readonly subject: ContentsSubject;
  readonly plaintext: string;
  /** The pepper and the hash of the token's row. */
  readonly pepper: Key;
  readonly hash: TokenHash;
  /** The request for a rotation that the token answers. */
  readonly handledRotateAt: string | undefined;
}

/** Writes the wanted Secret, in one update where it is there already. */
export async function writeContents(
  context: ObserveContext,
  resource: ApiToken,
  desired: DesiredToken,
  seen: SecretView | undefined,
  contents: SecretContents,
): Promise<void> {
  const { subject, plaintext, pepper, hash, handledRotateAt } = contents;
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
    const patch = diffDecoration(seen.metadata, decoration);
    const owner = seen.owner === undefined ? { ownerReferences: [ownerReferenceTo(resource)] } : {};
    remember(context, await replaceSecretValues(context.transport, seen, values, { ...patch, ...owner }));
    return;
  }
  // No update changes an immutable Secret, or a Secret's type.
  if (seen !== undefined) await deleteSecret(context.transport, seen);
  const { namespace } = resource.metadata;
  const owner = ownerReferenceTo(resource);
  const { name } = desired.secret;
  remember(context, await createSecret(context.transport, { namespace, name, owner, decoration, values }));
}

/** Brings labels, annotations and the owner reference of a Secret of ours in line. */
export async function mendMetadata(
  context: ObserveContext,
  resource: ApiToken,
  seen: SecretView,
  patch: MetadataPatch | undefined,
): Promise<void> {
  const owner = seen.owner === undefined ? { ownerReferences: [ownerReferenceTo(resource)] } : {};
  remember(context, await decorateSecret(context.transport, seen, { ...patch, ...owner }));
}

/** Lets a Secret go, that is to outlive its ApiToken: it belongs to nobody then, and is not watched any more. */
export async function releaseSecret({ transport, caches }: ObserveContext, seen: SecretView): Promise<void> {
  await decorateSecret(transport, seen, { labels: { [MANAGED_LABEL]: null }, annotations: {}, ownerReferences: [] });
  caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
}

/** The plaintext of a token, from the Secret that was seen to hold it. Throws a StaleViewError when it no longer does. */
export async function readPlaintext(
  { transport }: ObserveContext,
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

/** After a write the next pass must not see an older state of it. */
function remember({ caches, keyring }: ObserveContext, secret: Secret): void {
  caches.secrets.upsert(reduceSecret(secret, keyring));
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
