import { expect, test } from "vitest";
import type { VerifiableToken } from "../../../src/postgres/verification.ts";
import { createTokenHasher, type TokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { type Answer, createLookup } from "../../../src/verifier/lookup.ts";
import { createBlockages } from "../../../src/verifier/memory/blockages.ts";
import type { Finding } from "../../../src/verifier/memory/finder.ts";
import { createTokenMemory } from "../../../src/verifier/memory/memory.ts";
import { createProver } from "../../../src/verifier/memory/prover.ts";
import { createTruth } from "../../../src/verifier/memory/truth.ts";
import { aVerifiableToken, later, NOW } from "../../support/builders.ts";

const keyring = createKeyring();
const [pepper] = keyring.peppers;
const NOW_MS = NOW.getTime();
const AWAY: Finding = { kind: "unavailable", why: "DatabaseUnavailable" };
const OUTAGE_MS = 60_000;

/** A look-up with a memory that is fresh, a database that the test speaks for, and a time that it sets. */
function aWorld(hasher: TokenHasher = createTokenHasher()) {
  const memory = createTokenMemory(100);
  const blockages = createBlockages();
  let monotonicMs = 0;
  const truth = createTruth({ staleAfterMs: 1_000, outageMs: OUTAGE_MS }, () => monotonicMs);
  truth.beginListening();
  truth.completeReading(0);
  let nowMs = NOW_MS;
  const asked: string[] = [];
  let finding = AWAY;
  const lookupParts = {
    memory,
    blockages,
    truth,
    prover: createProver(0),
    finder: {
      find(id: string) {
        asked.push(id);
        return Promise.resolve(finding);
      },
      isAway: false,
    },
    clock: { nowMs: () => nowMs, at: () => nowMs, set: () => {}, aheadMs: 0, isSet: true },
    hasher,
    keyring: () => keyring,
  };
  const lookup = createLookup(lookupParts, () => monotonicMs);
  return {
    memory,
    blockages,
    truth,
    asked,
    /** The database says this from now on. */
    say(next: Finding) {
      finding = next;
    },
    /** It is this long after NOW by the database's clock. */
    at(ms: number) {
      nowMs = NOW_MS + ms;
    },
    /** So much time passes without a proof. */
    pass(ms: number) {
      monotonicMs += ms;
    },
    /** Issues a token whose row is read into memory. */
    issue(changes: Partial<VerifiableToken> = {}): string {
      const { id, plaintext } = createToken();
      const hash = hashToken(plaintext, pepper);
      memory.beginReading().keep(aVerifiableToken(id, { hash, keyId: pepper.id, ...changes }), NOW_MS);
      return plaintext;
    },
    /** The result, or its reason. */
    async judge(plaintext: string): Promise<string> {
      return nameOf(await lookup(plaintext, {}));
    },
  };
}

const nameOf = (answer: Answer) => (answer.kind === "yes" ? "yes" : answer.why);
const idOf = (plaintext: string) => plaintext.slice(4, 16);

test("a token of which nothing was heard is judged without asking for its row", async () => {
  const { asked, judge, issue } = aWorld();
  expect(await judge(issue())).toBe("yes");
  expect(asked).toEqual([]);
});

test("once a change of a token was heard of, its row decides, and without it nobody knows", async () => {
  const { memory, asked, say, judge, issue } = aWorld();
  const token = issue();
  memory.hearChange(idOf(token));
  expect(await judge(token)).toBe("DatabaseUnavailable");
  say({ kind: "found", token: undefined, blockedFromMs: Number.POSITIVE_INFINITY });
  expect(await judge(token)).toBe("Unknown");
  expect(asked).toEqual([idOf(token), idOf(token)]);
});

test("once a change of a block was heard of, the rows of its owner decide, and without them nobody knows", async () => {
  const { blockages, judge, issue } = aWorld();
  const [hers, his] = [issue(), issue({ owner: "bob" })];
  blockages.hearChange("alice");
  expect(await judge(hers)).toBe("DatabaseUnavailable");
  expect(await judge(his)).toBe("yes");
});

test("a block counts from its time on, and not before", async () => {
  const { blockages, at, judge, issue } = aWorld();
  const token = issue();
  blockages.beginReading("alice")([{ owner: "alice", from: later(5_000) }]);
  at(4_999);
  expect(await judge(token)).toBe("yes");
  at(5_000);
  expect(await judge(token)).toBe("OwnerBlocked");
});

test("a block that comes with the row counts from its time on, too", async () => {
  const { memory, say, at, judge, issue } = aWorld();
  const token = issue();
  memory.hearChange(idOf(token));
  say({ kind: "found", token: memory.get(idOf(token)), blockedFromMs: NOW_MS + 5_000 });
  expect(await judge(token)).toBe("yes");
  at(5_000);
  expect(await judge(token)).toBe("OwnerBlocked");
});

test("what was dead when it was read is dead, even if the clock is set back and the database is away", async () => {
  const { asked, at, pass, judge, issue } = aWorld();
  const expired = issue({ expiresAt: later(-1) });
  const revoked = issue({ revokedAt: later(-1) });
  at(-60_000);
  pass(2 * OUTAGE_MS);
  expect([await judge(expired), await judge(revoked)]).toEqual(["Expired", "Revoked"]);
  expect(asked).toEqual([]);
});

test("without proof each use asks for the row; memory helps out for as long as an outage may last", async () => {
  const { asked, pass, judge, issue } = aWorld();
  const token = issue();
  pass(1_001);
  expect(await judge(token)).toBe("yes");
  expect(asked).toEqual([idOf(token)]);
  pass(OUTAGE_MS);
  expect(await judge(token)).toBe("DatabaseUnavailable");
});

test("a token whose pepper is not in the keyring is not judged, neither from memory nor by its row", async () => {
  const { memory, say, judge, issue } = aWorld();
  const token = issue({ keyId: "p-unknown" });
  expect(await judge(token)).toBe("KeyUnknown");
  memory.hearChange(idOf(token));
  say({ kind: "found", token: memory.get(idOf(token)), blockedFromMs: Number.POSITIVE_INFINITY });
  expect(await judge(token)).toBe("KeyUnknown");
});

test("so many bcrypt comparisons are in progress and no more, and each that ends makes room for another", async () => {
  const ends: ((isMatch: boolean) => void)[] = [];
  const isMatch = () => new Promise<boolean>((resolve) => ends.push(resolve));
  const { judge, issue } = aWorld({ ...createTokenHasher(), isMatch });
  const slow = () => issue({ hashAlgorithm: "bcrypt" });
  const busy = Array.from({ length: 32 }, () => judge(slow()));
  const waiting = slow();
  const refused = judge(waiting);
  expect(ends).toHaveLength(32);
  expect(await refused).toBe("Overloaded");
  ends.shift()?.(true);
  ends.shift()?.(false);
  expect(await Promise.all(busy.slice(0, 2))).toEqual(["yes", "WrongSecret"]);
  const another = judge(waiting);
  for (const end of ends) end(true);
  expect(await another).toBe("yes");
});
