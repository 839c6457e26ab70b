import { expect, test } from "vitest";
import type { VerifiableToken } from "../../../../src/postgres/verification.ts";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { HOUR_MS, later, NOW } from "../../../support/builders.ts";

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
])("what is kept of a row %s reads like the row that it was made from", (_, row) => {
  const known = new KnownToken(row, NOW.getTime());
  for (const [field, value] of Object.entries(row)) expect(known[field as keyof VerifiableToken], field).toEqual(value);
});

test.each([
  ["of a live token", NOW.getTime()],
  ["of a dead one", ROW.expiresAt.getTime() + 2 * HOUR_MS],
])("the copy %s that is made when it is first used says the same, and knows the same", (_, atMs) => {
  const known = new KnownToken(ROW, atMs);
  Object.assign(known, { seen: "digest", isSuspect: true, isRecent: true, readIn: 7 });
  const { uses } = known;
  const copy = known.gather();
  for (const [field, value] of Object.entries(ROW)) expect(copy[field as keyof VerifiableToken], field).toEqual(value);
  expect(copy).toMatchObject({ seen: "digest", isSuspect: true, isRecent: true, readIn: 7, isGathered: true });
  expect([copy.uses, copy.terms, copy.isEnded]).toEqual([uses, known.terms, known.isEnded]);
  expect(copy.uses).toBe(uses);
});

test("tokens share what they have in common", () => {
  const [one, other] = [new KnownToken(ROW, 0), new KnownToken({ ...ROW, id: "b", scopes: ["read", "write"] }, 0)];
  expect(one.terms).toBe(other.terms);
  expect(new KnownToken({ ...ROW, scopes: ["read"] }, 0).terms).not.toBe(one.terms);
});

test("a token that its holder has ended counts as revoked", () => {
  const known = new KnownToken({ ...ROW, isEndRequested: true }, 0);
  expect([known.end, known.isEnded, known.acceptedUntilMs]).toEqual(["Revoked", true, Number.NEGATIVE_INFINITY]);
});

test("an answer is kept with its token until many others have one", () => {
  const tokens = Array.from({ length: 5_000 }, (_, number) => new KnownToken({ ...ROW, id: `token-${number}` }, 0));
  for (const token of tokens) expect(token.keepAnswer("live", token.id)).toBe(token.id);
  const kept = tokens.filter((token) => token.findAnswer("live") === token.id);
  expect(kept).toEqual(tokens.slice(-kept.length));
  expect(kept.length).toBe(4_096);
  expect(tokens.at(-1)?.findAnswer("grace")).toBeUndefined();
});
