/*
 * Rows that a run has tried to delete and has left, by the reason, with a few of their keys, so that somebody can look at them.
 */

import type { HeldReason } from "../report/report.ts";

/** Rows that are left so far. */
export interface HeldRows {
  add(place: string, reason: string, key: string | undefined): void;
  readonly count: number;
  /** Where the rows lie in their table. */
  readonly places: readonly string[];
  readonly reasons: readonly HeldReason[];
}

const KEYS_SHOWN = 3;
const REASONS_SHOWN = 20;

/** No rows yet. Of many different reasons the first ones are kept, and the rest is one. */
export function createHeldRows(): HeldRows {
  const reasons = new Map<string, { rows: number; keys: string[] }>();
  const places: string[] = [];
  return {
    add(place, reason, key) {
      places.push(place);
      const name = reasons.has(reason) || reasons.size < REASONS_SHOWN ? reason : "of other reasons";
      const entry = reasons.get(name) ?? { rows: 0, keys: [] };
      entry.rows += 1;
      if (key !== undefined && entry.keys.length < KEYS_SHOWN) entry.keys.push(key);
      reasons.set(name, entry);
    },
    get count() {
      return places.length;
    },
    places,
    get reasons() {
      return [...reasons].map(([reason, entry]) => ({ reason, ...entry }));
    },
  };
}

/** The rows of several leaves together. */
export function joinHeld(parts: readonly (readonly HeldReason[])[]): HeldReason[] {
  const joined = new Map<string, HeldReason>();
  for (const part of parts.flat()) {
    const known = joined.get(part.reason);
    const keys = [...(known?.keys ?? []), ...part.keys].slice(0, KEYS_SHOWN);
    joined.set(part.reason, { reason: part.reason, rows: (known?.rows ?? 0) + part.rows, keys });
  }
  return [...joined.values()];
}

/** How many rows these are. */
export function countHeld(held: readonly HeldReason[]): number {
  return held.reduce((sum, { rows }) => sum + rows, 0);
}
