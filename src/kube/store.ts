/*
 * A cache that is fed from lists, watches and our own writes, whose answers may arrive in any order. A cache that went
 * back in time could make a pass act twice, so every change is judged by its resourceVersion.
 */
/** The part of an object that a store relies on. */
export interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

/** What else is known about an object that is put into a store. */
export interface Evidence {
  /** The version of a list that contained it: it existed then, whatever an older list or event said. */
  readonly listedIn?: string;
  /** The server itself went back in time (a restored backup), so older versions replace newer ones. */
  readonly isRewound?: boolean;
}

/** A cache of one kind of object, keyed by "namespace/name" (or "name"). It never goes back in time. */
export interface Store<T extends Stored> {
  get(key: string): T | undefined;
  /** Stores an object unless a newer version is stored or it is known to be gone. Returns whether it was stored. */
  upsert(object: T, evidence?: Evidence): boolean;
  /**
   * Removes an object; with `uid`, only if it has that uid. With `goneIn`, the version in which it no longer existed, a
   * newer object stays, and an older answer that arrives later cannot bring it back. Returns what was removed.
   */
  remove(key: string, uid?: string, goneIn?: string): T | undefined;
  /** The objects that have this value in the index of this name. */
  byIndex(index: string, value: string): T[];
  values(): IterableIterator<T>;
  readonly size: number;
}

export function storeKey({ metadata }: Stored): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** More than the number of answers that can be in flight at once. */
const TOMBSTONES = 1_000;

/** Each function in `indexes` returns the value by which an object is found; undefined leaves it out of that index. */
export function createStore<T extends Stored>(
  indexes: Readonly<Record<string, (object: T) => string | undefined>> = {},
): Store<T> {
  const objects = new Map<string, T>();
  const indexed = new Map(Object.keys(indexes).map((index) => [index, createIndex()]));
  /** By uid, the version in which each recently removed object no longer existed. */
  const tombstones = new Map<string, string>();

  const updateIndexes = (key: string, before: T | undefined, after: T | undefined) => {
    for (const [index, pick] of Object.entries(indexes)) {
      const old = before && pick(before);
      const value = after && pick(after);
      if (old === value) continue;
      if (old !== undefined) indexed.get(index)?.remove(old, key);
      if (value !== undefined) indexed.get(index)?.add(value, key);
    }
  };

  const bury = (uid: string, goneIn: string) => {
    tombstones.delete(uid);
    tombstones.set(uid, goneIn);
    if (tombstones.size > TOMBSTONES) tombstones.delete(tombstones.keys().next().value as string);
  };

  return {
    get: (key) => objects.get(key),
    upsert(object, { listedIn, isRewound = false } = {}) {
      const key = storeKey(object);
      const before = objects.get(key);
      const { uid, resourceVersion } = object.metadata;
      const goneIn = tombstones.get(uid);
      const isNews = before === undefined || isNewer(resourceVersion, before.metadata.resourceVersion);
      const isThere = goneIn === undefined || isNewer(listedIn ?? resourceVersion, goneIn);
      if (!(isNews && isThere) && !isRewound) return false;
      tombstones.delete(uid);
      objects.set(key, object);
      updateIndexes(key, before, object);
      return true;
    },
    remove(key, uid, goneIn) {
      if (uid !== undefined && goneIn !== undefined) bury(uid, goneIn);
      const before = objects.get(key);
      if (before === undefined || (uid !== undefined && before.metadata.uid !== uid)) return undefined;
      if (goneIn !== undefined && isNewer(before.metadata.resourceVersion, goneIn)) return undefined;
      objects.delete(key);
      updateIndexes(key, before, undefined);
      return before;
    },
    byIndex: (index, value) => (indexed.get(index)?.find(value) ?? []).flatMap((key) => objects.get(key) ?? []),
    values: () => objects.values(),
    get size() {
      return objects.size;
    },
  };
}

/** Which keys have a value. Nearly every Secret has an owner of its own, and a set for each would take more than the rest of it. */
function createIndex() {
  const keysOf = new Map<string, string | Set<string>>();
  return {
    find(value: string): readonly string[] {
      const keys = keysOf.get(value);
      return keys === undefined ? [] : typeof keys === "string" ? [keys] : [...keys];
    },
    add(value: string, key: string): void {
      const keys = keysOf.get(value);
      if (keys === undefined) keysOf.set(value, key);
      else if (typeof keys === "string") keysOf.set(value, new Set([keys, key]));
      else keys.add(key);
    },
    remove(value: string, key: string): void {
      const keys = keysOf.get(value);
      if (keys === key) keysOf.delete(value);
      else if (typeof keys === "object" && keys.delete(key) && keys.size === 0) keysOf.delete(value);
    },
  };
}

/**
 * Whether one resourceVersion is newer than another of the same kind. They are decimal numbers of any length
 * (KEP-5504), compared as text because they may exceed the range of a Number.
 */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
