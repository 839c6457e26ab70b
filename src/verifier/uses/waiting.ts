/*
 * Items that wait to be reported in one call, as many as the database takes: what comes when there is no more room is dropped.
 */
import type { Queryable } from "../../postgres/database.ts";
import { REPORTS_PER_CALL } from "../../postgres/verifier-reports.ts";

/** What waits. */
export interface Waiting<Item> {
  readonly isFull: boolean;
  /** Does nothing when it is full. */
  add(item: Item): void;
  /** Reports everything. Throws the database's errors; what could not be reported is kept. */
  flush(): Promise<void>;
}

/** Begins empty. `report` takes up to `REPORTS_PER_CALL` items. */
export function createWaiting<Item>(
  db: Queryable,
  report: (db: Queryable, items: readonly Item[]) => Promise<void>,
): Waiting<Item> {
  let items: Item[] = [];
  return {
    get isFull() {
      return items.length >= REPORTS_PER_CALL;
    },
    add(item) {
      if (items.length < REPORTS_PER_CALL) items.push(item);
    },
    async flush() {
      const batch = items;
      if (batch.length === 0) return;
      items = [];
      try {
        await report(db, batch);
      } catch (error) {
        items = [...batch, ...items].slice(0, REPORTS_PER_CALL);
        throw error;
      }
    },
  };
}
