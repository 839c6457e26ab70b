import { expect, test } from "vitest";
import { checkValueOf, describeKeyChecks, describeKeys, type KeyUse } from "../../../src/token/key-status.ts";
import { createKey, type Keyring } from "../../../src/token/keyring.ts";
import { HOUR_MS, NOW } from "../../support/builders.ts";

const at = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);
const former = { ...createKey("p"), id: "former" };
const next = { ...createKey("p"), id: "next", activeFrom: at(1) };
const ring: Keyring = {
  peppers: [next, former],
  encryption: [{ ...createKey("e"), id: "only" }],
  pseudonym: { ...createKey("n"), id: "names" },
};
const use = (id: string, rows: number): KeyUse => ({ kind: "pepper", id, rows, lastEndsAt: at(30) });

function statesAt(hours: number, uses: readonly KeyUse[] = []): string[] {
  return describeKeys(ring, uses, at(hours)).map(
    ({ id, state, rows, isRemovable }) => `${id} ${state} ${rows}${isRemovable ? " removable" : ""}`,
  );
}

test("a key is coming until its time, and then replaces the current one", () => {
  expect(statesAt(0)).toEqual(["next coming 0", "former current 0", "only current 0", "names kept 0"]);
  expect(statesAt(0.999)).toEqual(["next coming 0", "former current 0", "only current 0", "names kept 0"]);
  expect(statesAt(1)).toEqual(["next current 0", "former old 0 removable", "only current 0", "names kept 0"]);
});

test("an old key can be removed once no working token's row names it", () => {
  expect(statesAt(2, [use("former", 3), use("next", 1)])).toEqual([
    "next current 1",
    "former old 3",
    "only current 0",
    "names kept 0",
  ]);
  expect(describeKeys(ring, [use("former", 3)], at(2))[1]?.lastEndsAt).toEqual(at(30));
  expect(statesAt(2, [use("next", 4)])).toEqual([
    "next current 4",
    "former old 0 removable",
    "only current 0",
    "names kept 0",
  ]);
});

test("a use of a key counts only for its kind", () => {
  const uses: KeyUse[] = [{ kind: "encryption", id: "former", rows: 2, lastEndsAt: at(30) }];
  expect(statesAt(2, uses)).toEqual([
    "next current 0",
    "former old 0 removable",
    "only current 0",
    "names kept 0",
    "former missing 2",
  ]);
});

test("a key that the keyring lacks is reported, and cannot be removed", () => {
  expect(statesAt(0, [use("lost", 1)]).at(-1)).toBe("lost missing 1");
});

test("the key for pseudonyms is always kept, and its bytes are checked as well", () => {
  expect(statesAt(1_000)).toContain("names kept 0");
  expect(describeKeyChecks(ring)).toContainEqual({
    kind: "pseudonym",
    id: "names",
    checkValue: checkValueOf(ring.pseudonym),
  });
});

test("a check value distinguishes keys with the same id, and is always the same for one key", () => {
  const other = { ...createKey("p"), id: former.id };
  expect(checkValueOf(former)).toEqual(checkValueOf({ ...former }));
  expect(checkValueOf(former).equals(checkValueOf(other))).toBe(false);
  expect(checkValueOf(former).equals(former.secret.export())).toBe(false);
});
