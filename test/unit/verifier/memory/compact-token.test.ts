import { expect, test } from "vitest";
import type { VerifiableToken } from "../../../../src/postgres/verification.ts";
import { CompactToken } from "../../../../src/verifier/memory/compact-token.ts";
import { HOUR_MS, later } from "../../../support/builders.ts";

const ROW: VerifiableToken = {
  id: "abcdefghijkl",
  namespace: "shop",
  name: "orders",
  owner: "alice",
  scopes: ["read", "write"],
  allowedCidrs: ["10.0.0.0/8"],
  grace: { periodMs: HOUR_MS, scopes: ["read"] },
  rateLimit: { requests: 600, seconds: 60 },
  hash: Buffer.from("00ff7f80c3a9", "hex"),
  hashAlgorithm: "hmac-sha256",
  keyId: "p-1",
  encryptedMetadata: { bytes: Buffer.from("cipher"), keyId: "e-1" },
  issuedAt: later(-HOUR_MS),
  expiresAt: later(HOUR_MS),
  revokedAt: later(1),
  isEndRequested: false,
};

test.each([
  ["with everything", ROW],
  [
    "with as little as possible",
    { ...ROW, scopes: [], allowedCidrs: [], grace: undefined, rateLimit: undefined, revokedAt: undefined },
  ],
])("a compact row %s reads like the row that it was made from", (_, row) => {
  const compact = new CompactToken(row);
  for (const [field, value] of Object.entries(row))
    expect(compact[field as keyof VerifiableToken], field).toEqual(value);
});

test("rows share the texts that they have in common", () => {
  const [one, other] = [new CompactToken(ROW), new CompactToken({ ...ROW, scopes: ["read", "write"] })];
  expect(one.scopes).toBe(other.scopes);
});
