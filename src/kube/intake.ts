import type { Logger } from "../runtime/log.ts";
import { type Evidence, isNewer, type Store, type Stored, storeKey } from "./store.ts";

/** A change of an object, as seen. "deleted" may be wrong (an empty list, say): read live before anything is ended. */
export interface Change<T> {
  readonly type: "added" | "updated" | "deleted";
  readonly object: T;
  /** What was known of the object before an update. */
  readonly previous?: T;
}

export interface IntakeOptions<T extends Stored> {
  readonly store: Store<T>;
  /** Takes from an object, as it comes in, what is worth keeping. */
  readonly reduce: (raw: unknown) => T;
  readonly onChange: (change: Change<T>) => void;
  readonly path: string;
  readonly log: Logger;
}

/** Brings what the API server tells of into a store, and tells of every change that this makes. Never throws. */
export interface Intake {
  /** Takes in an object; see `Store.upsert`. */
  take(raw: Stored, evidence?: Evidence): void;
  /** Takes out an object that is gone; see `Store.remove`. */
  drop(object: Stored, goneIn?: string): void;
}

export function createIntake<T extends Stored>(options: IntakeOptions<T>): Intake {
  const { store, reduce, onChange, path, log } = options;

  /** One object that cannot be read, or one handler that throws, must not stop the others. */
  const reduceSafely = (raw: Stored): T | undefined => {
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
    drop,
    take(raw, evidence = {}) {
      const before = store.get(storeKey(raw));
      if (isSame(before, raw) && !evidence.isRewound) return; // the echo of our own write, mostly
      const object = reduceSafely(raw);
      if (object === undefined) return;
      // Of another uid under the same name it is another object: the old one was deleted.
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

function isSame(before: Stored | undefined, { metadata }: Stored): boolean {
  return before?.metadata.uid === metadata.uid && before.metadata.resourceVersion === metadata.resourceVersion;
}
