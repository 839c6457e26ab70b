/*
 * The tokens by their ids. A hundred thousand of them lie all over the memory, and to find one in a Map reads half a dozen places that
 * the processor has to wait for: longer than to judge the token. Those in use are few, so they have a short way, whose table fits
 * into the processor's cache, and are next to each other.
 */
import type { KnownToken } from "./known-token.ts";

/** Like a Map, and in its order. */
export interface TokenTable extends Iterable<readonly [string, KnownToken]> {
  get(id: string): KnownToken | undefined;
  /** The same for a token that somebody shows: on the short way, if it was shown before. From then on `get` finds a copy of it. */
  use(id: string): KnownToken | undefined;
  set(id: string, token: KnownToken): void;
  delete(id: string): void;
  has(id: string): boolean;
  keys(): Iterable<string>;
  values(): Iterable<KnownToken>;
  readonly size: number;
}

const PLACE_BITS = 13;

/** Creates an empty table. */
export function createTokenTable(): TokenTable {
  const tokens = new Map<string, KnownToken>();
  /** The tokens that were shown last, two for each even place. What is in it is in `tokens`, too. */
  const latest = new Array<KnownToken | undefined>(1 << PLACE_BITS).fill(undefined);

  const drop = (id: string) => {
    const place = placeOf(id);
    latest[place] = undefined;
    latest[place + 1] = undefined;
  };
  const gather = (id: string): KnownToken | undefined => {
    const token = tokens.get(id);
    if (token === undefined || token.isGathered) return token;
    const copy = token.gather();
    tokens.set(id, copy);
    return copy;
  };
  return {
    get: (id) => tokens.get(id),
    use(id) {
      const place = placeOf(id);
      const first = latest[place];
      if (first !== undefined && first.id === id) return first;
      const second = latest[place + 1];
      if (second !== undefined && second.id === id) return second;
      const token = gather(id);
      if (token === undefined) return undefined;
      latest[place + 1] = first;
      latest[place] = token;
      return token;
    },
    set(id, token) {
      drop(id);
      tokens.set(id, token);
    },
    delete(id) {
      drop(id);
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
function placeOf(id: string): number {
  const part = id.charCodeAt(0) | (id.charCodeAt(1) << 8) | (id.charCodeAt(2) << 16);
  return (Math.imul(part, 0x9e3779b1) >>> (32 - PLACE_BITS)) & ~1;
}
