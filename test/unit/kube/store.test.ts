import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createStore, isNewer, type Store } from "../../../src/kube/store.ts";

interface Thing {
  readonly metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  readonly owner?: string;
}

function aThing(resourceVersion: string, rest: { uid?: string; name?: string; owner?: string } = {}): Thing {
  const { uid = "u1", name = "a", owner } = rest;
  return { metadata: { name, namespace: "ns", uid, resourceVersion }, ...(owner === undefined ? {} : { owner }) };
}

function aStore(...things: Thing[]): Store<Thing> {
  const store = createStore<Thing>({ owner: (thing) => thing.owner });
  for (const thing of things) store.upsert(thing);
  return store;
}

const versionOf = (store: Store<Thing>) => store.get("ns/a")?.metadata.resourceVersion;

test("versions are compared as numbers of any size", () => {
  const version = fc.bigInt({ min: 0n, max: 10n ** 40n });
  fc.assert(fc.property(version, version, (a, b) => isNewer(String(a), String(b)) === a > b));
});

describe("a store", () => {
  test("never goes back in time", () => {
    const store = aStore(aThing("10"));
    expect(store.upsert(aThing("9"))).toBe(false);
    expect(store.upsert(aThing("10"))).toBe(false);
    expect(versionOf(store)).toBe("10");
    expect(store.upsert(aThing("11"))).toBe(true);
    expect(versionOf(store)).toBe("11");
  });

  test("an answer that arrives after an object was deleted does not bring it back", () => {
    const store = aStore(aThing("10"));
    store.remove("ns/a", "u1", "12");
    expect(store.upsert(aThing("11"))).toBe(false);
    expect(store.get("ns/a")).toBeUndefined();
    expect(store.upsert(aThing("13", { uid: "u2" }))).toBe(true);
  });

  test("an object that left the selection and came back is as new as its newest version", () => {
    const store = aStore(aThing("10"));
    store.remove("ns/a", "u1", "12");
    expect(store.upsert(aThing("20"))).toBe(true);
    expect(store.upsert(aThing("15"))).toBe(false);
    expect(versionOf(store)).toBe("20");
  });

  test("a version that is newer than the deletion stays", () => {
    const store = aStore(aThing("20"));
    expect(store.remove("ns/a", "u1", "15")).toBeUndefined();
    expect(versionOf(store)).toBe("20");
  });

  test("an object that only a wrong list lacked comes back with the next list", () => {
    const store = aStore(aThing("10"));
    store.remove("ns/a", "u1", "12");
    expect(store.upsert(aThing("10"), { listedIn: "12" })).toBe(false);
    expect(store.upsert(aThing("10"), { listedIn: "14" })).toBe(true);
  });

  test("if the server went back in time, older versions count", () => {
    const store = aStore(aThing("10"), aThing("11", { name: "b", uid: "u2" }));
    store.remove("ns/b", "u2", "12");
    expect(store.upsert(aThing("5"), { isRewound: true })).toBe(true);
    expect(store.upsert(aThing("6", { name: "b", uid: "u2" }), { isRewound: true })).toBe(true);
    expect(versionOf(store)).toBe("5");
    expect(store.size).toBe(2);
  });

  test("the deletion of an object does not remove its successor", () => {
    const store = aStore(aThing("20", { uid: "u2" }));
    expect(store.remove("ns/a", "u1", "15")).toBeUndefined();
    expect(store.get("ns/a")?.metadata.uid).toBe("u2");
  });

  test("remembers a bounded number of deletions", () => {
    const store = aStore();
    for (let i = 0; i < 5_000; i += 1) store.remove(`ns/x${i}`, `uid-${i}`, "100");
    expect(store.upsert(aThing("50", { name: "x4999", uid: "uid-4999" }))).toBe(false);
    expect(store.upsert(aThing("50", { name: "x0", uid: "uid-0" }))).toBe(true);
  });
});

test("an index finds exactly the objects of a value, after any changes", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const owner = fc.option(fc.constantFrom("x", "y"), { nil: undefined });
  const step = fc.record({ name, owner, isRemoval: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const store = aStore();
      steps.forEach((one, version) => {
        const at = { name: one.name, uid: one.name, ...(one.owner === undefined ? {} : { owner: one.owner }) };
        if (one.isRemoval) store.remove(`ns/${one.name}`, one.name, String(version));
        else store.upsert(aThing(String(version), at));
      });
      for (const value of ["x", "y"]) {
        const expected = [...store.values()].filter((thing) => thing.owner === value);
        expect(new Set(store.byIndex("owner", value))).toEqual(new Set(expected));
      }
    }),
  );
});
