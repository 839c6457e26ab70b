/*
 * Keys for a verifier that signs its answers; and JWTs as their receivers check them, from the published keys alone.
 */
import { createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A file with so many new keys, and the settings for a verifier that signs with the first of them. */
export function createSigningKeys({ issuer, count = 1 }: { readonly issuer: string; readonly count?: number }) {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-signing-"));
  const file = join(folder, "keys.pem");
  writeFileSync(file, Array.from({ length: count }, createPem).join(""));
  return {
    settings: { APITOKEN_VERIFIER_ISSUER: issuer, APITOKEN_VERIFIER_SIGNING_KEY: file },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

const createPem = () => generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

/** A JWK Set. */
export interface KeySet {
  readonly keys: readonly (JsonWebKey & { kid?: string })[];
}

/** The keys that a verifier publishes on one of its ports. */
export const readKeys = async (url: string) => (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as KeySet;

export interface OpenedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The header and the claims of a JWT that a key of the set has signed. Throws an Error if none has. */
export function openJwt(jwt: string, { keys }: KeySet): OpenedJwt {
  const [header = "", claims = "", signature = "", ...rest] = jwt.split(".");
  if (rest.length > 0) throw new Error("this is not a JWT");
  const decode = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  const { kid, alg } = decode(header);
  const jwk = keys.find((key) => key.kid === kid);
  if (jwk === undefined || jwk.alg !== alg) throw new Error("no key of the set has this id and algorithm");
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const digest = alg === "EdDSA" ? null : "sha256";
  const input = Buffer.from(`${header}.${claims}`);
  const isSigned = verify(digest, input, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  if (!isSigned) throw new Error("the signature is wrong");
  return { header: decode(header), claims: decode(claims) };
}
