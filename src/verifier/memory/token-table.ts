/*
 * The tokens by their ids. A hundred thousand of them lie all over the memory, and to find one in a Map reads half a dozen places that
 * the processor has to wait for: longer than to judge the token. Those in use are few, so they have a short way, whose table fits
 * into the processor's cache, and are next to each other.
 */
import type { KnownToken } from "./known-token.ts";

/** Like a Map, and in its order. */
export interface TokenTable extends Iterable<readonly [string, KnownToken]> {
  get(id: string): KnownToken | undefined;
  /** The same for a token that somebody shows. From then on `get` finds a copy of it. */
  use(id: string): KnownToken | undefined;
  /** The short way to a token that is in use, by the digest in its `seen`: undefined if that was not noted lately. */
  recall(seen: string): KnownToken | undefined;
  /** A token that `use` has found was shown with the digest in its `seen`. */
  note(token: KnownToken): void;
  set(id: string, token: KnownToken): void;
  delete(id: string): void;
  has(id: string): boolean;
  keys(): Iterable<string>;
  values(): Iterable<KnownToken>;
  readonly size: number;
}

const PLACES = 8_192;

/** Creates an empty table. */
export function createTokenTable(): TokenTable {
  const tokens = new Map<string, KnownToken>();
  /** The tokens that were shown last, two for each even place. What is in it is in `tokens`, too. */
  const latest = new Array<KnownToken | undefined>(PLACES).fill(undefined);

  const drop = (id: string) => {
    const seen = tokens.get(id)?.seen;
    if (seen === undefined) return;
    const place = placeOf(seen);
    latest[place] = undefined;
    latest[place + 1] = undefined;
  };
  return {
    get: (id) => tokens.get(id),
    use(id) {
      const token = tokens.get(id);
      if (token === undefined || token.isGathered) return token;
      const copy = token.gather();
      tokens.set(id, copy);
      return copy;
    },
    recall(seen) {
      const place = placeOf(seen);
      const first = latest[place];
      if (first !== undefined && first.seen === seen) return first;
      const second = latest[place + 1];
      return second !== undefined && second.seen === seen ? second : undefined;
    },
    note(token) {
      if (token.seen === undefined) return;
      const place = placeOf(token.seen);
      latest[place + 1] = latest[place];
      latest[place] = token;
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

/** Digests are as good as random, and nobody can choose them, so any part of one says where the short way looks. */
function placeOf(seen: string): number {
  return (seen.charCodeAt(0) | (seen.charCodeAt(1) << 8)) & (PLACES - 2);
}
