import { createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from "node:crypto";
import { expect, test } from "vitest";
import { readSigningKeys } from "../../../../src/verifier/signing/signing-key.ts";

const toPem = (type: "ed25519" | "ec" | "rsa", options: object = {}) =>
  generateKeyPairSync(type as "ec", options as { namedCurve: string }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  });

const ed25519 = () => toPem("ed25519").toString();
const p256 = () => toPem("ec", { namedCurve: "prime256v1" }).toString();

const decode = (part = "") => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;

test.for([
  ["EdDSA", ed25519],
  ["ES256", p256],
] as const)("a JWT is signed with %s, and its key can be found by its id", ([algorithm, createPem]) => {
  const [key] = readSigningKeys(createPem(), "test");
  const [header, claims, signature = ""] = key.sign("a+jwt", { sub: "alice" }).split(".");
  expect(decode(header)).toEqual({ alg: algorithm, typ: "a+jwt", kid: key.publicKey.kid });
  expect(decode(claims)).toEqual({ sub: "alice" });
  const publicKey = createPublicKey({ key: key.publicKey as JsonWebKey, format: "jwk" });
  const input = Buffer.from(`${header}.${claims}`);
  const digest = algorithm === "EdDSA" ? null : "sha256";
  const isValid = (data: Buffer) =>
    verify(digest, data, { key: publicKey, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  expect(isValid(input)).toBe(true);
  expect(isValid(Buffer.concat([input, Buffer.from("x")]))).toBe(false);
});

test("the public keys hold nothing private, and the first key signs", () => {
  const keys = readSigningKeys(`${ed25519()}\nnotes\n${p256()}`, "test");
  expect(keys.map(({ publicKey }) => Object.keys(publicKey).sort())).toEqual([
    ["alg", "crv", "kid", "kty", "use", "x"],
    ["alg", "crv", "kid", "kty", "use", "x", "y"],
  ]);
  expect(new Set(keys.map(({ publicKey }) => publicKey.kid)).size).toBe(2);
});

test("the id of a key is the thumbprint of RFC 7638, as in the example of RFC 8037, A.3", () => {
  const jwk = {
    kty: "OKP",
    crv: "Ed25519",
    d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  };
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(jwk.d, "base64url")]);
  const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----`;
  const [key] = readSigningKeys(pem, "test");
  expect(key.publicKey).toMatchObject({ x: jwk.x, kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" });
});

test("a text without a key, and a key that signs too slowly, are refused, and the message holds nothing of them", () => {
  const rsa = toPem("rsa", { modulusLength: 2048 }).toString();
  const cases = [
    ["", "it holds no private key"],
    [ed25519().replaceAll("PRIVATE", "PUBLIC"), "it holds no private key"],
    [ed25519().replace("\nM", "\n!"), "cannot be read"],
    [rsa, "neither Ed25519 nor P-256"],
  ] as const;
  for (const [pem, problem] of cases) {
    expect(() => readSigningKeys(pem, "the file x")).toThrow(new RegExp(`^the file x: .*${problem}`));
    try {
      readSigningKeys(pem, "the file x");
    } catch (error) {
      const secret = pem.split("\n")[1];
      if (secret) expect((error as Error).message).not.toContain(secret);
    }
  }
});
