import { expect, test } from "vitest";
import { createHistory } from "../../support/verifier-walk/history.ts";
import { createOracle, type ModelRow, type ModelToken } from "../../support/verifier-walk/oracle.ts";

const BOUNDS = { staleMs: 1_000, outageMs: 5_000 };

const aToken = (acceptedUntilMs = 1_000_000): ModelToken => ({
  id: "a",
  plaintext: "apt_a",
  owner: "alice",
  row: createHistory<ModelRow | undefined>({ acceptedUntilMs }),
});

/** An answer that was given within a millisecond. */
const answer = (token: ModelToken, status: number, atMs: number, verifier = "one") => ({
  verifier,
  token,
  askedAtMs: atMs,
  answeredAtMs: atMs + 1,
  status,
});

test("a good token may not be refused, and a dead one not be accepted for longer than an answer may be old", () => {
  const oracle = createOracle(BOUNDS);
  const token = aToken();
  expect(oracle.findFault(answer(token, 401, 10_000))).toContain("it refused a token");
  token.row.begin({ acceptedUntilMs: 20_000 }, 20_000)(20_010);
  expect(oracle.findFault(answer(token, 200, 21_000))).toBeUndefined();
  expect(oracle.findFault(answer(token, 200, 21_100))).toContain("it said yes to a token");
  expect(oracle.findFault(answer(token, 401, 21_100))).toBeUndefined();
});

test("while the database does not answer, and while connections are replaced, answers may be older", () => {
  const oracle = createOracle(BOUNDS);
  const token = aToken();
  token.row.begin(undefined, 20_000)(20_010);
  oracle.disturb("one", 19_000)(22_000);
  expect(oracle.findFault(answer(token, 200, 24_000))).toBeUndefined();
  expect(oracle.findFault(answer(token, 200, 24_000, "two"))).toContain("it said yes");
  expect(oracle.findFault(answer(token, 200, 25_100))).toContain("it said yes");
});

test("a block counts from its time on, and ends nothing when it is lifted", () => {
  const oracle = createOracle(BOUNDS);
  const token = aToken();
  oracle.blockOf("alice").begin(20_000, 15_000)(15_010);
  expect(oracle.isGood(token, 19_900)).toBe(true);
  expect(oracle.isGood(token, 20_100)).toBe(false);
  expect(oracle.findFault(answer(token, 200, 21_100))).toContain("it said yes");
  oracle.blockOf("alice").begin(Number.POSITIVE_INFINITY, 30_000)(30_010);
  expect(oracle.isGood(token, 30_005)).toBeUndefined();
  expect(oracle.isGood(token, 30_100)).toBe(true);
  expect(oracle.findFault(answer(token, 401, 31_200))).toContain("it refused");
});

test("don't know is never wrong, and an error always is", () => {
  const oracle = createOracle(BOUNDS);
  expect(oracle.findFault(answer(aToken(), 503, 1_000))).toBeUndefined();
  expect(oracle.findFault(answer(aToken(), 500, 1_000))).toContain("500");
});
