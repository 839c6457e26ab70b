/*
 * The owners whose tokens are refused. A block counts from its time on, whether or not a leader has revoked the tokens yet.
 */
import type { OwnerBlockage } from "../../postgres/verification.ts";

/** The blocks on owners, as far as they are known. */
export interface Blockages {
  /** Since when an owner is blocked, in ms since 1970: Infinity if not at all, undefined if that must be read again. */
  find(owner: string): number | undefined;
  /** A block on this owner was recorded, changed or lifted. */
  hearChange(owner: string): void;
  /** Begins a reading of all blocks, or of those on one owner. Returns what takes what was read. */
  beginReading(owner?: string): (found: readonly OwnerBlockage[]) => void;
  /** The owners whose blocks must be read again. */
  readonly suspects: ReadonlySet<string>;
  /** What is known at this moment, for a snapshot. */
  readonly state: BlockagesState;
  /** Begins with what a snapshot holds. Call it before anything is read or heard. */
  restore(state: BlockagesState): void;
}

/** What is known of blocks: since when owners are blocked, in ms since 1970, and whose blocks must be read again. */
export interface BlockagesState {
  readonly starts: readonly (readonly [owner: string, fromMs: number])[];
  readonly suspects: readonly string[];
}

/** Creates an empty list of blocks. */
export function createBlockages(): Blockages {
  let starts = new Map<string, number>();
  const suspects = new Set<string>();
  /** How often a change was heard of, by owner: what was read before the last change says nothing. */
  let heard = 0;
  const heardAt = new Map<string, number>();

  const takeOne = (owner: string, found: readonly OwnerBlockage[]) => {
    starts.delete(owner);
    for (const { from } of found) starts.set(owner, from.getTime());
    suspects.delete(owner);
    heardAt.delete(owner);
  };
  const takeAll = (found: readonly OwnerBlockage[], begunAt: number) => {
    starts = new Map(found.map(({ owner, from }) => [owner, from.getTime()]));
    for (const owner of suspects) {
      if ((heardAt.get(owner) ?? 0) > begunAt) continue;
      suspects.delete(owner);
      heardAt.delete(owner);
    }
  };
  return {
    find(owner) {
      if (suspects.size > 0 && suspects.has(owner)) return undefined;
      return starts.size === 0 ? Number.POSITIVE_INFINITY : (starts.get(owner) ?? Number.POSITIVE_INFINITY);
    },
    hearChange(owner) {
      heard += 1;
      suspects.add(owner);
      heardAt.set(owner, heard);
    },
    beginReading(owner) {
      const begunAt = heard;
      return (found) => {
        if (owner === undefined) takeAll(found, begunAt);
        else if ((heardAt.get(owner) ?? 0) <= begunAt) takeOne(owner, found);
      };
    },
    suspects,
    get state() {
      return { starts: [...starts], suspects: [...suspects] };
    },
    restore(state) {
      starts = new Map(state.starts);
      for (const owner of state.suspects) suspects.add(owner);
    },
  };
}
