/*
 * The step from what the API server reports to a cache. One object that cannot be read, or one failing handler, must
 * not stop a watch, and a store that refuses an outdated object must not cause a notification; both are ensured here.
 */
import type { Logger } from "../runtime/log.ts";
import { type Evidence, isNewer, type Store, type Stored, storeKey } from "./store.ts";

/**
 * A change to the cache. "deleted" may be wrong (after a wrongly empty list, say): read live before ending anything.
 */
export interface Change<T> {
  readonly type: "added" | "updated" | "deleted";
  readonly object: T;
  /** The object as it was cached before an update. */
  readonly previous?: T;
}

export interface IntakeOptions<T extends Stored> {
  readonly store: Store<T>;
  /** Reduces an incoming object to what is worth caching. */
  readonly reduce: (raw: unknown) => T;
  readonly onChange: (change: Change<T>) => void;
  readonly path: string;
  readonly log: Logger;
}

/** Updates a store with what the API server reports, and notifies of each resulting change. Never throws. */
export interface Intake<T extends Stored> {
  /** Reduces an object, unless this version of it is in the store already. Undefined if it cannot be read, which is logged. */
  read(raw: Stored): T | undefined;
  /** Takes in an object that exists; see `Store.upsert`. */
  take(object: T, evidence?: Evidence): void;
  /** Removes an object that is gone; see `Store.remove`. */
  drop(object: Stored, goneIn?: string): void;
}

export function createIntake<T extends Stored>(options: IntakeOptions<T>): Intake<T> {
  const { store, reduce, onChange, path, log } = options;

  const read = (raw: Stored): T | undefined => {
    const before = store.get(storeKey(raw));
    if (isSame(before, raw)) return before;
    try {
      return reduce(raw);
    } catch (error) {
      log.error({ path, object: storeKey(raw), err: error }, "object cannot be read");
      return undefined;
    }
  };
  const notify = (change: Change<T>) => {
    try {
      onChange(change);
    } catch (error) {
      log.error({ path, object: storeKey(change.object), err: error }, "change handler failed");
    }
  };
  const drop = (object: Stored, goneIn?: string) => {
    const removed = store.remove(storeKey(object), object.metadata.uid, goneIn);
    if (removed !== undefined) notify({ type: "deleted", object: removed });
  };

  return {
    read,
    drop,
    take(object, evidence = {}) {
      const before = store.get(storeKey(object));
      if (isSame(before, object) && !evidence.isRewound) return; // usually the echo of our own write
      // A different uid under the same name is a different object: the old one was deleted.
      const isOther = before !== undefined && before.metadata.uid !== object.metadata.uid;
      const isLater =
        evidence.isRewound || isNewer(object.metadata.resourceVersion, before?.metadata.resourceVersion ?? "");
      if (isOther && isLater) drop(before);
      if (!store.upsert(object, evidence)) return;
      if (before === undefined || isOther) notify({ type: "added", object });
      else notify({ type: "updated", object, previous: before });
    },
  };
}

function isSame<T extends Stored>(before: T | undefined, { metadata }: Stored): before is T {
  return before?.metadata.uid === metadata.uid && before.metadata.resourceVersion === metadata.resourceVersion;
}
