import { describe, expect, test } from "vitest";
import { createStore, isNewer } from "../../src/kube/store.ts";

interface Thing {
  readonly metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  readonly owner?: string;
}

function aThing(resourceVersion: string, rest: { uid?: string; name?: string; owner?: string } = {}): Thing {
  const { uid = "u1", name = "a", owner } = rest;
  return { metadata: { name, namespace: "ns", uid, resourceVersion }, ...(owner === undefined ? {} : { owner }) };
}

test.each([
  ["10", "9", true],
  ["9", "10", false],
  ["10", "10", false],
  ["90071992547409931", "90071992547409930", true],
])("version %s is newer than %s: %s", (version, than, expected) => {
  expect(isNewer(version, than)).toBe(expected);
});

describe("a store", () => {
  test("never goes back in time", () => {
    const store = createStore<Thing>();
    expect(store.upsert(aThing("10"))).toBe(true);
    expect(store.upsert(aThing("9"))).toBe(false);
    expect(store.upsert(aThing("10"))).toBe(false);
    expect(store.get("ns/a")?.metadata.resourceVersion).toBe("10");
  });

  test("an answer that was under way when an object was deleted does not bring it back", () => {
    const store = createStore<Thing>();
    store.upsert(aThing("10"));
    store.remove("ns/a", "u1", "12");
    expect(store.upsert(aThing("11"))).toBe(false);
    expect(store.get("ns/a")).toBeUndefined();
    expect(store.upsert(aThing("13", { uid: "u2" }))).toBe(true);
  });

  test("an object that was only missing from a list can come back as it was", () => {
    const store = createStore<Thing>();
    store.upsert(aThing("10"));
    store.remove("ns/a", "u1");
    expect(store.upsert(aThing("10"))).toBe(true);
  });

  test("the deletion of an object does not take out its successor", () => {
    const store = createStore<Thing>();
    store.upsert(aThing("20", { uid: "u2" }));
    expect(store.remove("ns/a", "u1", "15")).toBeUndefined();
    expect(store.get("ns/a")?.metadata.uid).toBe("u2");
  });

  test("finds objects by an index that follows them", () => {
    const store = createStore<Thing>({ owner: (thing) => thing.owner });
    store.upsert(aThing("1", { owner: "x" }));
    store.upsert(aThing("1", { name: "b", uid: "u2", owner: "x" }));
    expect(store.byIndex("owner", "x")).toHaveLength(2);
    store.upsert(aThing("2", { owner: "y" }));
    expect(store.byIndex("owner", "x").map((thing) => thing.metadata.name)).toEqual(["b"]);
    store.remove("ns/a");
    expect(store.byIndex("owner", "y")).toEqual([]);
  });
});
