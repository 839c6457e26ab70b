/** What a store must know of an object. */
export interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

/** What else is known of an object that is put into a store. */
export interface Evidence {
  /** The version of a list that had it: then it was there, whatever an older list or event said. */
  readonly listedIn?: string;
  /** The server itself went back in time, so what is known is worth nothing. */
  readonly isRewound?: boolean;
}

/** A cache of one kind of object, keyed by "namespace/name" (or "name"). It never goes back in time. */
export interface Store<T extends Stored> {
  get(key: string): T | undefined;
  /** Puts an object in, unless a newer version of it is there or it is known to be gone. Says whether it was put in. */
  upsert(object: T, evidence?: Evidence): boolean;
  /**
   * Takes an object out; with a uid, only if it is that very one. With the version in which it was gone, a newer one
   * stays, and older answers that are still under way cannot bring it back. Returns what was taken out.
   */
  remove(key: string, uid?: string, goneIn?: string): T | undefined;
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
  const indexed = new Map(Object.keys(indexes).map((index) => [index, new Map<string, Set<string>>()]));
  /** The versions in which the last few objects were gone, by uid. */
  const tombstones = new Map<string, string>();

  const updateIndexes = (key: string, before: T | undefined, after: T | undefined) => {
    for (const [index, pick] of Object.entries(indexes)) {
      const old = before && pick(before);
      const value = after && pick(after);
      if (old === value) continue;
      const byValue = indexed.get(index) as Map<string, Set<string>>;
      if (old !== undefined) {
        const keys = byValue.get(old);
        keys?.delete(key);
        if (keys?.size === 0) byValue.delete(old);
      }
      if (value !== undefined) byValue.set(value, (byValue.get(value) ?? new Set()).add(key));
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
    byIndex: (index, value) => [...(indexed.get(index)?.get(value) ?? [])].flatMap((key) => objects.get(key) ?? []),
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
