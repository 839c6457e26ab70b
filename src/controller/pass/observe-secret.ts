/*
 * Answers which token a Secret holds and whether its values are what the spec asks for. The cache has only HMACs of the
 * values, never plaintext, and a comparison with bcrypt is slow: where HMACs cannot answer, or not fast enough, proofs
 * do that were stored in annotations when the Secret was written.
 */
import { ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import type { TokenRecord } from "../../postgres/tokens.ts";
import { contentKeys, proveHash, sealContents } from "../../token/contents.ts";
import { type Decoration, diffDecoration, PROOF_ANNOTATION, SEAL_ANNOTATION } from "../../token/decoration.ts";
import { findPepper, isSameHash, type Keyring } from "../../token/keyring.ts";
import type { DesiredToken, ObservedSecret } from "../../token/model.ts";
import type { ReadContext } from "./context.ts";

/** What it takes to compare a Secret's values with rows. */
type Comparison = Pick<ReadContext, "keyring" | "hasher">;

/** The row whose token is among the Secret's values; the newest if there are several. */
export async function findHeldToken<T extends TokenRecord>(
  context: Comparison,
  secret: SecretView,
  tokens: readonly T[],
): Promise<T | undefined> {
  const keys = Object.keys(secret.fingerprints);
  for (const token of tokens.toReversed()) {
    if (keys.some((key) => isProvenValue(context.keyring, secret, key, token))) return token;
    for (const key of keys) {
      if (await isValueOf(context, secret, key, token)) return token;
    }
  }
  return undefined;
}

async function isValueOf(
  { keyring, hasher }: Comparison,
  secret: SecretView,
  key: string,
  token: TokenRecord,
): Promise<boolean> {
  const fingerprint = readFingerprint(secret, key, token.keyId);
  if (fingerprint === undefined) return false;
  return isProvenValue(keyring, secret, key, token) || hasher.isMatch(fingerprint, token);
}

function readFingerprint({ fingerprints }: SecretView, key: string, pepperId: string): Buffer | undefined {
  const fingerprint = fingerprints[key]?.[pepperId];
  return fingerprint === undefined ? undefined : Buffer.from(fingerprint, "base64");
}

/** Whether the proof in the annotation ties this value to the row's bcrypt hash. False also if there is no proof. */
function isProvenValue(keyring: Keyring, secret: SecretView, key: string, token: TokenRecord): boolean {
  const proof = secret.metadata.annotations[PROOF_ANNOTATION];
  const fingerprint = readFingerprint(secret, key, token.keyId);
  const pepper = findPepper(keyring, token.keyId);
  if (proof === undefined || fingerprint === undefined || pepper === undefined) return false;
  if (token.hashAlgorithm !== "bcrypt") return false;
  return isSameHash(Buffer.from(proof), Buffer.from(proveHash(fingerprint, token.hash, pepper)));
}

/** The facts about the Secret of the wanted name. `secret` is undefined if it exists but is not ours; it may yet hold a token. */
export async function describeSecret(
  context: Comparison,
  secret: SecretView | undefined,
  held: TokenRecord | undefined,
  desired: DesiredToken | undefined,
  wantedDecoration: Decoration | undefined,
): Promise<ObservedSecret> {
  if (secret === undefined) return { state: "foreign", holds: held?.id };
  const isDecorated =
    wantedDecoration === undefined ||
    (secret.owner !== undefined && diffDecoration(secret.metadata, wantedDecoration) === undefined);
  return {
    state: "ours",
    name: secret.metadata.name,
    holds: held?.id,
    isIntact: held !== undefined && desired !== undefined && (await isIntact(context, secret, held, desired)),
    isDecorated,
    handledRotateAt: secret.metadata.annotations[ROTATE_ANNOTATION],
  };
}

/** Whether the Secret has exactly the keys and values that the spec asks for. */
async function isIntact(
  context: Comparison,
  secret: SecretView,
  held: TokenRecord,
  desired: DesiredToken,
): Promise<boolean> {
  const pepper = findPepper(context.keyring, held.keyId);
  const keys = Object.keys(secret.fingerprints);
  const wantedKeys = contentKeys(desired.secret);
  const hasKeys = keys.length === wantedKeys.length && wantedKeys.every((key) => keys.includes(key));
  if (pepper === undefined || !hasKeys || !(await isValueOf(context, secret, desired.secret.key, held))) return false;
  const fingerprints = Object.fromEntries(keys.map((key) => [key, readFingerprint(secret, key, pepper.id) as Buffer]));
  const seal = sealContents(desired.secret, { ...held, owner: desired.owner }, fingerprints, pepper);
  return seal === undefined || seal === secret.metadata.annotations[SEAL_ANNOTATION];
}
