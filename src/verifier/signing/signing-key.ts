/*
 * The keys with which a verifier signs what it says: RFC 7515 (JWS), with Ed25519 (EdDSA, RFC 8037) or P-256 (ES256). RSA would take
 * longer for one signature than everything else of a hundred answers. Node's own crypto is all that it takes.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { Fault } from "../../runtime/fault.ts";

/** A key that signs, and its public half as clients read it. */
export interface SigningKey {
  readonly algorithm: "EdDSA" | "ES256";
  /** RFC 7517, with the thumbprint of RFC 7638 as its id. */
  readonly publicKey: Readonly<Record<string, string>>;
  /** A JWT with these claims. `type` is its header `typ`, which keeps one kind of JWT from passing for another (RFC 8725, 3.11). */
  sign(type: string, claims: object): string;
}

const PEM_KEYS = /-----BEGIN (EC )?PRIVATE KEY-----[^-]+-----END (EC )?PRIVATE KEY-----/g;

/** Reads the private keys of a PEM text, in their order; the first is the one to sign with. Throws a Fault that quotes nothing of it. */
export function readSigningKeys(pem: string, where: string): readonly [SigningKey, ...SigningKey[]] {
  const [first, ...others] = pem.match(PEM_KEYS) ?? [];
  if (first === undefined) throw createFault(where, "it holds no private key in PEM");
  return [createSigningKey(first, where), ...others.map((key) => createSigningKey(key, where))];
}

function createSigningKey(pem: string, where: string): SigningKey {
  const key = readPrivateKey(pem, where);
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) throw createFault(where, "a key in it is neither Ed25519 nor P-256");
  const members = createPublicKey(key).export({ format: "jwk" }) as Record<string, string>;
  const id = createHash("sha256").update(thumbprintOf(members)).digest("base64url");
  const digest = algorithm === "EdDSA" ? null : "sha256";
  return {
    algorithm,
    publicKey: { ...members, kid: id, alg: algorithm, use: "sig" },
    sign(type, claims) {
      const input = `${encode({ alg: algorithm, typ: type, kid: id })}.${encode(claims)}`;
      return `${input}.${sign(digest, Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    },
  };
}

function readPrivateKey(pem: string, where: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw createFault(where, "a key in it cannot be read");
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): SigningKey["algorithm"] | undefined {
  if (asymmetricKeyType === "ed25519") return "EdDSA";
  return asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === "prime256v1" ? "ES256" : undefined;
}

/** RFC 7638, 3: the required members, in the order of their names, without spaces. */
function thumbprintOf({ crv, kty, x, y }: Readonly<Record<string, string>>): string {
  return JSON.stringify(y === undefined ? { crv, kty, x } : { crv, kty, x, y });
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function createFault(where: string, problem: string): Fault {
  const remedy = "make one with: openssl genpkey -algorithm ed25519";
  return new Fault({ faultCode: "APITOKEN_E_CONFIG_INVALID", object: where, problem, remedy });
}
