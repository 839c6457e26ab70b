import { beforeAll, describe, expect, test } from "vitest";
import { findHeldToken } from "../../../../src/controller/pass/observe-secret.ts";
import { reduceSecret, type SecretView } from "../../../../src/kube/resources/secret.ts";
import type { TokenRecord } from "../../../../src/postgres/tokens.ts";
import { createTokenHasher, type TokenHash } from "../../../../src/runtime/token-hash.ts";
import { proveHash } from "../../../../src/token/contents.ts";
import { PROOF_ANNOTATION } from "../../../../src/token/decoration.ts";
import { createKeyring, hashToken } from "../../../../src/token/keyring.ts";
import { aTokenRow } from "../../../support/builders.ts";

const keyring = createKeyring();
const hasher = createTokenHasher();
const [pepper] = keyring.peppers;
const fingerprint = hashToken("the token", pepper);
/** A hash that no comparison ever matches, so that only a proof can. */
const OPAQUE: TokenHash = { hash: Buffer.from("no bcrypt hash at all"), hashAlgorithm: "bcrypt" };

function aRecord(hash: TokenHash, id = "tokenOne0001"): TokenRecord {
  return { ...aTokenRow({ id }), ...hash, keyId: pepper.id, encryptedMetadata: undefined };
}

function aSecret(value: string, proof?: string): SecretView {
  const annotations = proof === undefined ? {} : { [PROOF_ANNOTATION]: proof };
  const data = {
    header: Buffer.from(`Bearer ${value}`).toString("base64"),
    token: Buffer.from(value).toString("base64"),
  };
  const metadata = { name: "demo", namespace: "ns", uid: "u", resourceVersion: "1", annotations };
  return reduceSecret({ metadata, data, type: "Opaque" }, keyring);
}

const held = async (secret: SecretView, ...records: TokenRecord[]) =>
  (await findHeldToken({ keyring, hasher }, secret, records))?.id;

describe("a token hashed with bcrypt", () => {
  let hash: TokenHash;
  beforeAll(async () => {
    hash = await hasher.hash(fingerprint, { algorithm: "bcrypt", rounds: 10 });
  });

  test("is recognised by its proof, without a comparison", async () => {
    expect(await held(aSecret("the token", proveHash(fingerprint, OPAQUE.hash, pepper)), aRecord(OPAQUE))).toBe(
      "tokenOne0001",
    );
  });

  test("is recognised by comparison if the proof was removed or edited", async () => {
    expect(await held(aSecret("the token"), aRecord(hash))).toBe("tokenOne0001");
    expect(await held(aSecret("the token", "edited"), aRecord(hash))).toBe("tokenOne0001");
  });

  test("does not count as held because of a proof for another value, another row or another pepper", async () => {
    const [otherPepper] = createKeyring().peppers;
    const proofs = [
      ["another token", proveHash(fingerprint, OPAQUE.hash, pepper)],
      ["the token", proveHash(fingerprint, Buffer.from("another row's"), pepper)],
      ["the token", proveHash(fingerprint, OPAQUE.hash, otherPepper)],
    ] as const;
    for (const [value, proof] of proofs) expect(await held(aSecret(value, proof), aRecord(OPAQUE))).toBeUndefined();
  });

  test("if there are several, the newest counts", async () => {
    const older = aRecord(OPAQUE, "tokenOne0001");
    const newer = aRecord(hash, "tokenTwo0002");
    const proof = proveHash(fingerprint, OPAQUE.hash, pepper);
    expect(await held(aSecret("the token", proof), older, newer)).toBe("tokenTwo0002");
    expect(await held(aSecret("the token", proof), older)).toBe("tokenOne0001");
  });
});

test("a proof means nothing for a row with a plain keyed hash", async () => {
  const plain: TokenHash = { hash: hashToken("another", pepper), hashAlgorithm: "hmac-sha256" };
  expect(await held(aSecret("the token", proveHash(fingerprint, plain.hash, pepper)), aRecord(plain))).toBeUndefined();
  expect(await held(aSecret("another"), aRecord(plain))).toBe("tokenOne0001");
});
