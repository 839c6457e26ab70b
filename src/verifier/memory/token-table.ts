/*
 * The tokens by their ids. A hundred thousand of them lie all over the memory, and to find one in a Map reads half a dozen places that
 * the processor has to wait for: longer than to judge the token. Those in use are few, so they have a short way, whose table fits
 * into the processor's cache.
 */
import type { KnownToken } from "./known-token.ts";

/** Like a Map, and in its order. */
export interface TokenTable extends Iterable<readonly [string, KnownToken]> {
  get(id: string): KnownToken | undefined;
  set(id: string, token: KnownToken): void;
  delete(id: string): void;
  has(id: string): boolean;
  keys(): Iterable<string>;
  values(): Iterable<KnownToken>;
  readonly size: number;
}

const SLOT_BITS = 12;

/** Creates an empty table. */
export function createTokenTable(): TokenTable {
  const tokens = new Map<string, KnownToken>();
  /** The token that was asked for last, by slot. What is in it is in `tokens`, too. */
  const latest = new Array<KnownToken | undefined>(1 << SLOT_BITS).fill(undefined);
  return {
    get(id) {
      const slot = slotOf(id);
      const near = latest[slot];
      if (near !== undefined && near.id === id) return near;
      const token = tokens.get(id);
      if (token !== undefined) latest[slot] = token;
      return token;
    },
    set(id, token) {
      latest[slotOf(id)] = undefined;
      tokens.set(id, token);
    },
    delete(id) {
      latest[slotOf(id)] = undefined;
      tokens.delete(id);
    },
    has: (id) => tokens.has(id),
    keys: () => tokens.keys(),
    values: () => tokens.values(),
    get size() {
      return tokens.size;
    },
    [Symbol.iterator]: () => tokens[Symbol.iterator](),
  };
}

/** Ids are random, so any part of one says where the short way looks. The factor is 2^32 over the golden ratio (Knuth, 6.4). */
function slotOf(id: string): number {
  const part = id.charCodeAt(0) | (id.charCodeAt(1) << 8) | (id.charCodeAt(2) << 16);
  return Math.imul(part, 0x9e3779b1) >>> (32 - SLOT_BITS);
}
