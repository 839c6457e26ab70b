import { expect, test } from "vitest";
import { createTokenMemory } from "../../../../src/verifier/memory/memory.ts";
import { aVerifiableToken as aRow, later, NOW } from "../../../support/builders.ts";

const NOW_MS = NOW.getTime();
const revoked = (id: string) => aRow(id, { revokedAt: later(-1) });

test("a change that is heard of makes a token suspect until it is read again", () => {
  const memory = createTokenMemory(10);
  memory.beginReading().keep(aRow("a"), NOW_MS);
  expect(memory.get("a")?.isSuspect).toBe(false);
  memory.hearChange("a");
  expect(memory.get("a")?.isSuspect).toBe(true);
  memory.beginReading().keep(aRow("a"), NOW_MS);
  expect(memory.get("a")?.isSuspect).toBe(false);
});

test("what was being read when a change was heard of is suspect", () => {
  const memory = createTokenMemory(10);
  const reading = memory.beginReading();
  memory.hearChange("a");
  expect(reading.keep(aRow("a"), NOW_MS).isSuspect).toBe(true);
  reading.end();
  expect(memory.beginReading().keep(aRow("a"), NOW_MS).isSuspect).toBe(false);
});

test("a change of a block makes suspect what its owner has, and what is being read of it, and nothing else", () => {
  const memory = createTokenMemory(10);
  const reading = memory.beginReading();
  for (const row of [aRow("a"), aRow("b", { owner: "bob" }), revoked("dead")]) reading.keep(row, NOW_MS);
  memory.hearBlockChange("alice");
  reading.keep(aRow("late"), NOW_MS);
  reading.keep(aRow("other", { owner: "bob" }), NOW_MS);
  const suspects = () => ["a", "b", "dead", "late", "other"].filter((id) => memory.get(id)?.isSuspect);
  expect(suspects()).toEqual(["a", "late"]);
  memory.beginReading().keep(aRow("a"), NOW_MS);
  expect(suspects()).toEqual(["late"]);
  const everything = memory.beginReading();
  for (const id of ["a", "late"]) everything.keep(aRow(id), NOW_MS);
  everything.keep(aRow("b", { owner: "bob" }), NOW_MS);
  everything.wasComplete(true);
  expect(suspects()).toEqual(["other"]); // which was not found
});

test("however many blocks change, the change of each is noticed", () => {
  const memory = createTokenMemory(10);
  memory.beginReading().keep(aRow("a"), NOW_MS);
  memory.hearBlockChange("alice");
  for (let number = 0; number < 20_000; number += 1) memory.hearBlockChange(`owner-${number}`);
  expect(memory.get("a")?.isSuspect).toBe(true);
});

test("a row of a snapshot is kept if nothing is known of its token, and dead as it was then", () => {
  const memory = createTokenMemory(2);
  memory.beginReading().keep(aRow("known"), NOW_MS);
  memory.restore(revoked("known"), NOW_MS, false);
  memory.restore(revoked("dead"), NOW_MS, false);
  memory.restore(aRow("too many"), NOW_MS, false);
  expect(memory.ids).toEqual(["known", "dead"]);
  expect(memory.get("known")?.isEnded).toBe(false);
  expect(memory.beginReading().keep(aRow("dead"), NOW_MS).isEnded).toBe(true);
});

test("a row of a snapshot is suspect if it was, and once everything has been read without it", () => {
  const memory = createTokenMemory(10);
  memory.restore(aRow("a"), NOW_MS, true);
  memory.restore(aRow("b"), NOW_MS, false);
  expect(["a", "b"].map((id) => memory.get(id)?.isSuspect)).toEqual([true, false]);
  memory.beginReading().wasComplete(true);
  expect(memory.get("b")?.isSuspect).toBe(true);
});

test("no reading brings back what was dead when it was read, in whatever order they come", () => {
  const memory = createTokenMemory(10);
  const early = memory.beginReading();
  memory.beginReading().keep(revoked("a"), NOW_MS);
  expect(early.keep(aRow("a"), NOW_MS).isEnded).toBe(true);
  expect(memory.beginReading().keep(aRow("a"), NOW_MS).end).toBe("Revoked");
});

test("an end in the future may still be moved, as an overlap's may", () => {
  const memory = createTokenMemory(10);
  memory.beginReading().keep(aRow("a", { revokedAt: later(1_000) }), NOW_MS);
  const known = memory.beginReading().keep(aRow("a", { revokedAt: later(9_000) }), NOW_MS + 500);
  expect(known.acceptedUntilMs).toBe(NOW_MS + 9_000);
});

test("a token that its holder has ended is dead before the controller has written so", () => {
  const memory = createTokenMemory(10);
  const known = memory.beginReading().keep(aRow("a", { isEndRequested: true }), NOW_MS);
  expect(known.isEnded).toBe(true);
  expect(known).toMatchObject({ end: "Revoked", acceptedUntilMs: Number.NEGATIVE_INFINITY });
});

test("a row that has not changed leaves its token as it is, and one that has does not", () => {
  const memory = createTokenMemory(10);
  const known = memory.beginReading().keep(aRow("a"), NOW_MS);
  memory.hearChange("a");
  expect(memory.beginReading().keep(aRow("a"), NOW_MS)).toBe(known);
  expect(known.isSuspect).toBe(false);
  for (const change of [
    { owner: "bob" },
    { scopes: ["other"] },
    { expiresAt: later(99_000_000) },
    { revokedAt: later(1_000) },
    { hash: Buffer.from("other") },
    { encryptedMetadata: { bytes: Buffer.from("m"), keyId: "e-1" } },
    { isEndRequested: true },
  ]) {
    expect(memory.beginReading().keep(aRow("b"), NOW_MS)).not.toBe(
      memory.beginReading().keep(aRow("b", change), NOW_MS),
    );
    memory.beginReading().forget("b");
  }
  expect(memory.beginReading().keep(aRow("a"), known.acceptedUntilMs).isEnded).toBe(true);
});

test("a reading of everything makes suspect what it has not found, and nothing else", () => {
  const memory = createTokenMemory(10);
  const before = memory.beginReading();
  for (const row of [aRow("kept"), aRow("gone"), revoked("dead")]) before.keep(row, NOW_MS);
  const everything = memory.beginReading();
  everything.keep(aRow("kept"), NOW_MS);
  memory.beginReading().keep(aRow("new"), NOW_MS); // looked up meanwhile
  everything.wasComplete(true);
  expect([..."kept gone dead new".split(" ")].map((id) => memory.get(id)?.isSuspect)).toEqual([
    false,
    true,
    false,
    false,
  ]);
});

test("a token without a row is forgotten, unless it has changed since it was looked for", () => {
  const memory = createTokenMemory(10);
  memory.beginReading().keep(aRow("a"), NOW_MS);
  const late = memory.beginReading();
  memory.hearChange("a");
  late.forget("a");
  expect(memory.get("a")).toBeDefined();
  memory.beginReading().forget("a");
  expect(memory.get("a")).toBeUndefined();
});

test("there is a limit, and those that are used stay", () => {
  const memory = createTokenMemory(3);
  const reading = memory.beginReading();
  for (const id of ["a", "b", "c"]) reading.keep(aRow(id), NOW_MS);
  const used = memory.get("a");
  if (used) used.isRecent = true;
  for (const id of ["d", "e"]) reading.keep(aRow(id), NOW_MS);
  expect(memory.size).toBe(3);
  expect(["a", "b", "c", "d", "e"].filter((id) => memory.get(id) !== undefined)).toEqual(["a", "d", "e"]);
});

test("the plaintext that was checked need not be checked again, unless the hash has changed", () => {
  const memory = createTokenMemory(10);
  const known = memory.beginReading().keep(aRow("a"), NOW_MS);
  known.seen = "seen";
  expect(memory.beginReading().keep(aRow("a", { owner: "bob" }), NOW_MS).seen).toBe("seen");
  expect(memory.beginReading().keep(aRow("a", { hash: Buffer.from("other") }), NOW_MS).seen).toBeUndefined();
});

/** A memory for ten tokens that has read all there are: these. */
function aWholeMemory(...ids: string[]) {
  const memory = createTokenMemory(10);
  const reading = memory.beginReading();
  for (const id of ids) reading.keep(aRow(id), NOW_MS);
  reading.wasComplete(true);
  reading.end();
  return memory;
}

test("a token is absent only if all have been read and nothing was heard of it", () => {
  expect(createTokenMemory(10).isAbsent("b")).toBe(false);
  const memory = aWholeMemory("a");
  expect(memory.isAbsent("a")).toBe(false);
  expect(memory.isAbsent("b")).toBe(true);
  memory.hearChange("b");
  expect(memory.isAbsent("b")).toBe(false);
  expect(memory.listNews(10)).toEqual(["b"]);
});

test("what was heard of is news until its row, or that there is none, has been read since", () => {
  const memory = aWholeMemory();
  memory.hearChange("a");
  memory.hearChange("b");
  const reading = memory.beginReading();
  reading.keep(aRow("a"), NOW_MS);
  reading.forget("b");
  expect(memory.listNews(10)).toEqual([]);
  expect([memory.isAbsent("a"), memory.isAbsent("b")]).toEqual([false, true]);
});

test("a token that is issued while a reading continues is not absent after it", () => {
  const memory = createTokenMemory(10);
  const reading = memory.beginReading();
  memory.hearChange("new");
  reading.forget("new"); // it was looked for before it was there
  reading.wasComplete(true);
  reading.end();
  expect(memory.isAbsent("new")).toBe(false);
  expect(memory.isAbsent("other")).toBe(true);
});

test("no token is absent while there are more than memory has room for", () => {
  const memory = createTokenMemory(2);
  const reading = memory.beginReading();
  for (const id of ["a", "b"]) reading.keep(aRow(id), NOW_MS);
  reading.wasComplete(false);
  expect(memory.isAbsent("c")).toBe(false);
});

test("no token is absent once one that is accepted had to make room, until all have been read again", () => {
  const memory = aWholeMemory(..."abcdefghij");
  memory.hearChange("k");
  memory.beginReading().keep(aRow("k"), NOW_MS);
  expect(memory.size).toBe(10);
  expect(memory.isAbsent("z")).toBe(false);
});

test("a reading during which a token had to make room does not make others absent", () => {
  const memory = createTokenMemory(2);
  const reading = memory.beginReading();
  for (const id of ["a", "b", "c"]) reading.keep(aRow(id), NOW_MS);
  reading.wasComplete(true);
  expect(memory.isAbsent("z")).toBe(false);
});

test("more news than is kept leaves nothing absent until all have been read again", () => {
  const memory = aWholeMemory();
  for (let count = 0; count <= 10_000; count += 1) memory.hearChange(`id-${count}`);
  expect(memory.isAbsent("z")).toBe(false);
  expect(memory.listNews(10)).toEqual([]);
  const reading = memory.beginReading();
  reading.wasComplete(true);
  expect(memory.isAbsent("z")).toBe(true);
});

test("a token that has changed is news until it has been read since, and a dead one is none", () => {
  const memory = aWholeMemory("a", "b");
  memory.hearChange("a");
  memory.hearChange("b");
  const reading = memory.beginReading();
  reading.keep(aRow("a"), NOW_MS);
  reading.keep(revoked("b"), NOW_MS);
  reading.end();
  memory.hearChange("b");
  expect(memory.listNews(10)).toEqual([]);
  const during = memory.beginReading();
  memory.hearChange("a");
  during.keep(aRow("a"), NOW_MS);
  expect(memory.listNews(10)).toEqual(["a"]);
});
