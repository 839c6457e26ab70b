/** What a store must know of an object. */
export interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

/** A cache of one kind of object, keyed by "namespace/name" (or "name"). It never goes back in time. */
export interface Store<T extends Stored> {
  get(key: string): T | undefined;
  /** Puts an object in, unless a newer version of it is there or was deleted. Says whether it was put in. */
  upsert(object: T): boolean;
  /**
   * Takes an object out; with a uid, only if it is that very one. With the version of its deletion, answers that were
   * under way meanwhile cannot bring it back. Returns what was taken out.
   */
  remove(key: string, uid?: string, deletedIn?: string): T | undefined;
  /** The objects whose index of that name has that value. */
  byIndex(index: string, value: string): T[];
  values(): IterableIterator<T>;
  readonly size: number;
}

export function storeKey({ metadata }: Stored): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** More than the answers that can be under way at once. */
const TOMBSTONES = 1_000;

/** `indexes` gives for each index the value under which an object is found; undefined leaves it out. */
export function createStore<T extends Stored>(
  indexes: Readonly<Record<string, (object: T) => string | undefined>> = {},
): Store<T> {
  const objects = new Map<string, T>();
  const indexed = new Map<string, Set<string>>();
  /** The versions in which the last few objects were deleted, by uid. */
  const tombstones = new Map<string, string>();

  const updateIndexes = (key: string, before: T | undefined, after: T | undefined) => {
    for (const [index, pick] of Object.entries(indexes)) {
      const old = before && pick(before);
      const value = after && pick(after);
      if (old === value) continue;
      if (old !== undefined) {
        const keys = indexed.get(`${index}=${old}`);
        keys?.delete(key);
        if (keys?.size === 0) indexed.delete(`${index}=${old}`);
      }
      if (value !== undefined) {
        const keys = indexed.get(`${index}=${value}`) ?? new Set();
        indexed.set(`${index}=${value}`, keys.add(key));
      }
    }
  };

  return {
    get: (key) => objects.get(key),
    upsert(object) {
      const key = storeKey(object);
      const before = objects.get(key);
      const { uid, resourceVersion } = object.metadata;
      const latest = tombstones.get(uid) ?? before?.metadata.resourceVersion;
      if (latest !== undefined && !isNewer(resourceVersion, latest)) return false;
      objects.set(key, object);
      updateIndexes(key, before, object);
      return true;
    },
    remove(key, uid, deletedIn) {
      if (uid !== undefined && deletedIn !== undefined) {
        tombstones.set(uid, deletedIn);
        if (tombstones.size > TOMBSTONES) tombstones.delete(tombstones.keys().next().value as string);
      }
      const before = objects.get(key);
      if (before === undefined || (uid !== undefined && before.metadata.uid !== uid)) return undefined;
      objects.delete(key);
      updateIndexes(key, before, undefined);
      return before;
    },
    byIndex: (index, value) => [...(indexed.get(`${index}=${value}`) ?? [])].flatMap((key) => objects.get(key) ?? []),
    values: () => objects.values(),
    get size() {
      return objects.size;
    },
  };
}

/**
 * Whether one resourceVersion of a kind is newer than another: they are numbers of any length (KEP-5504), here
 * compared as text, for they may exceed what a Number holds.
 */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
