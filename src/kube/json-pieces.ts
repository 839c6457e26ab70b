/*
 * The text of one object arrives in pieces. If each text were put together in memory of its own, a list of large objects would
 * leave a multiple of its size to the garbage collector, which takes its time with memory outside of the heap.
 */

/** Puts texts together, one after the other, in the same memory. */
export interface Pieces {
  readonly isEmpty: boolean;
  add(piece: Buffer): void;
  /** The text so far with this last piece. It is only valid until the next call, and the next text begins empty. */
  finish(last: Buffer): Buffer;
}

const NOTHING = Buffer.alloc(0);

/** Begins with an empty text. What it takes is at most twice the largest text. */
export function createPieces(): Pieces {
  let memory = NOTHING;
  let length = 0;
  const add = (piece: Buffer) => {
    const needed = length + piece.length;
    if (needed > memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * memory.length));
      memory.copy(larger, 0, 0, length);
      memory = larger;
    }
    piece.copy(memory, length);
    length = needed;
  };
  return {
    get isEmpty() {
      return length === 0;
    },
    add,
    finish(last) {
      if (length === 0) return last;
      add(last);
      const text = memory.subarray(0, length);
      length = 0;
      return text;
    },
  };
}
