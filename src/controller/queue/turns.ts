/*
 * In which order waiting keys are handled. A plain queue would let whoever fills it decide how long everybody else waits;
 * here groups take turns, so one that adds thousands of keys delays only its own.
 */

/** Waiting keys, without repetition. Groups take turns; within a group, the key that was added first comes first. */
export interface Turns {
  /** Adds a key unless it waits already. */
  add(key: string): void;
  /** Removes and returns the next key; undefined if none waits. */
  take(): string | undefined;
  /** Returns whether the key was waiting. */
  remove(key: string): boolean;
  has(key: string): boolean;
  clear(): void;
  readonly size: number;
}

interface Group {
  readonly keys: Set<string>;
  /** Finds the next key without a search: the iterator of a set also visits what is added later, and skips what is removed. */
  readonly order: Iterator<string>;
}

/** Creates an empty collection. It keeps nothing of a group of which no key waits. */
export function createTurns(groupOf: (key: string) => string): Turns {
  const groups = new Map<string, Group>();
  let order = groups.entries();
  let size = 0;

  return {
    add(key) {
      const name = groupOf(key);
      let group = groups.get(name);
      if (group === undefined) {
        const keys = new Set<string>();
        group = { keys, order: keys.values() };
        groups.set(name, group);
      }
      if (group.keys.has(key)) return;
      group.keys.add(key);
      size += 1;
    },
    take() {
      if (size === 0) return undefined;
      const [name, group] = order.next().value as [string, Group];
      const key = group.order.next().value as string;
      group.keys.delete(key);
      size -= 1;
      // Its next turn comes after those of all other groups.
      groups.delete(name);
      if (group.keys.size > 0) groups.set(name, group);
      return key;
    },
    remove(key) {
      const name = groupOf(key);
      const group = groups.get(name);
      if (!group?.keys.delete(key)) return false;
      if (group.keys.size === 0) groups.delete(name);
      size -= 1;
      return true;
    },
    has: (key) => groups.get(groupOf(key))?.keys.has(key) ?? false,
    clear() {
      groups.clear();
      order = groups.entries();
      size = 0;
    },
    get size() {
      return size;
    },
  };
}
