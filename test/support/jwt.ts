/*
 * Checks JWTs as their receivers do, from the published keys alone.
 */
import { createPublicKey, type JsonWebKey, verify } from "node:crypto";

export interface OpenedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The header and the claims of a JWT that a key of the set has signed. Throws an Error if none has. */
export function openJwt(
  jwt: string,
  { keys }: { readonly keys: readonly (JsonWebKey & { kid?: string })[] },
): OpenedJwt {
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
