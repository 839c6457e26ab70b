/*
 * Deletes one range of rows, whatever is in its way: rows that others have locked, that something refers to, that a trigger
 * protects, or that take too long. Such a row is found by halving the batch and held back, and the others are deleted.
 */
import {
  addDeleted,
  type BatchOptions,
  type BatchResult,
  deleteBatch,
  type Leaf,
  NOTHING_DELETED,
} from "../../postgres/cleanup/batches.ts";
import { countRows } from "../../postgres/cleanup/counts.ts";
import type { Range } from "../../postgres/cleanup/due.ts";
import { deleteGuarded } from "../../postgres/cleanup/guard.ts";
import { findKey, listDue } from "../../postgres/cleanup/held.ts";
import { findLinks, isGuarded } from "../../postgres/cleanup/references.ts";
import { isLockConflict, setLockTimeout } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import { Fault } from "../../runtime/fault.ts";
import { createHeldRows, type HeldRows } from "./held-rows.ts";
import { describeRowFault, isRowFault, isTimeout } from "./row-fault.ts";

export interface DeleterOptions extends Pick<BatchOptions, "runId" | "cutoffs"> {
  /** How long to wait for a lock on the table. */
  readonly lockTimeoutMs: number;
  readonly stop: AbortSignal;
}

export interface Deleter {
  /** Deletes the rows of a range that are due, at most `maxRows`. Throws what concerns more than single rows. */
  delete(range: Range, maxRows: number | undefined): Promise<BatchResult>;
  /** The rows that it has left, with the reasons. */
  readonly held: HeldRows;
}

/** Longer than changing a row takes, and shorter than deadlock_timeout, so that a batch never takes part in a deadlock. */
const ROW_LOCK_WAIT_MS = 50;

/** Where one row is locked, others are likely to be. */
const CAREFUL_BATCHES = 10;

/** If so many rows fail and none can be deleted, none of the table can. */
const HOPELESS_ROWS = 100;

/** Rows that cannot be deleted are tried one by one, in every run. */
const MOST_HELD = 10_000;

/**
 * Locking rows with SKIP LOCKED first would double the cost of deleting them, and dead rows are hardly ever locked. So a
 * batch first deletes outright. If that meets a lock, the batch is rolled back, and it and the next few skip locked rows.
 */
export function createDeleter(session: Queryable, target: CleanupTarget, leaf: Leaf, options: DeleterOptions): Deleter {
  const { runId, cutoffs, lockTimeoutMs, stop } = options;
  const deleteRows = isGuarded(target) ? deleteGuarded : deleteBatch;
  const held = createHeldRows();
  const isLinked = findLinks(target).length > 0;
  /** A batch then waits for locks on rows of other tables, too. */
  const reachesOthers = target.references.length > 0;
  let onLockedRow: BatchOptions["onLockedRow"] | undefined;
  let carefulBatches = 0;
  /** After a time-out: how many rows at once. */
  let mostRows = Number.POSITIVE_INFINITY;
  let deletedRows = 0;
  /** In a range of times: where the last list has ended, and the rows that it and the lists before it had from there on. */
  let triedAt: string | undefined;
  let tried: readonly string[] = [];

  /** Whoever waits for a row's lock waits for a moment only: it belongs to somebody. */
  const waitFor = async (next: BatchOptions["onLockedRow"] | undefined) => {
    if (next === onLockedRow) return;
    await setLockTimeout(session, next === "wait" ? Math.min(ROW_LOCK_WAIT_MS, lockTimeoutMs) : lockTimeoutMs);
    onLockedRow = next;
  };

  const run = async (range: Range, maxRows: number | undefined, next: BatchOptions["onLockedRow"]) => {
    await waitFor(next);
    const result = await deleteRows(session, target, leaf, { runId, cutoffs, range, onLockedRow: next, maxRows });
    deletedRows += countRows(result);
    return result;
  };

  const runCarefully = async (range: Range, maxRows: number | undefined) => {
    if (carefulBatches === 0 && maxRows === undefined) {
      try {
        return await run(range, maxRows, "wait");
      } catch (error) {
        if (!isLockConflict(error)) throw error;
        carefulBatches = CAREFUL_BATCHES;
      }
    }
    carefulBatches = Math.max(0, carefulBatches - 1);
    return run(range, maxRows, "skip");
  };

  /** Deletes these rows, or finds out which of them cannot be deleted. */
  const halve = async (places: readonly string[], cause: unknown): Promise<BatchResult> => {
    const [place] = places;
    if (place === undefined || stop.aborted) return { ...NOTHING_DELETED, last: undefined };
    if (places.length === 1) {
      held.add(place, describeRowFault(cause, target), await findKey(session, target, leaf, place));
      requireHope(cause);
      return { ...NOTHING_DELETED, last: undefined };
    }
    const middle = Math.ceil(places.length / 2);
    const first = await tryRows(places.slice(0, middle));
    return { ...addDeleted(first, await tryRows(places.slice(middle))), last: undefined };
  };

  const tryRows = async (places: readonly string[]): Promise<BatchResult> => {
    try {
      const result = await run({ places }, undefined, "wait");
      if (Number.isFinite(mostRows)) mostRows = Math.max(mostRows, places.length * 2);
      return result;
    } catch (error) {
      if (!isRowFault(error) && !isTimeout(error) && !isLockConflict(error)) throw error;
      if (isTimeout(error)) mostRows = Math.max(1, Math.floor(places.length / 2));
      return halve(places, error);
    }
  };

  const requireHope = (cause: unknown) => {
    if (held.count < (deletedRows === 0 ? HOPELESS_ROWS : MOST_HELD)) return;
    if (isLockConflict(cause)) throw cause;
    // Without the cause, whose message may contain what is in the row.
    throw new Fault({
      faultCode: "APITOKEN_E_ROWS_HELD",
      problem: `${held.count} rows cannot be deleted, the last one because ${describeRowFault(cause, target)}`,
      remedy: "remove what is in their way, or exclude them with where",
    });
  };

  /** Row by row where needed: the rows are listed first, so that none is met twice. */
  const deleteListed = async (range: Range, maxRows: number | undefined): Promise<BatchResult> => {
    await waitFor("skip");
    const from = "reason" in range ? range.from : undefined;
    if (from === undefined || from !== triedAt) tried = [];
    const except = [...held.places, ...tried];
    const { places, last } = await listDue(session, target, leaf, { range, cutoffs, maxRows, except });
    triedAt = last;
    // Those with the latest time are listed again, if anything has kept them without an error.
    tried = last === from ? [...tried, ...places] : [...places];
    let deleted = NOTHING_DELETED;
    for (let next = 0; next < places.length && !stop.aborted; ) {
      const part = places.slice(next, next + mostRows);
      deleted = addDeleted(deleted, await tryRows(part));
      next += part.length;
    }
    return { ...deleted, last };
  };

  return {
    held,
    async delete(range, maxRows) {
      const isSimple = !("reason" in range) || (held.count === 0 && !isLinked);
      if (!Number.isFinite(mostRows) && isSimple) {
        try {
          return await runCarefully(range, maxRows);
        } catch (error) {
          if (isTimeout(error)) mostRows = FIRST_ROWS_AFTER_TIMEOUT;
          else if (!isRowFault(error) && !(reachesOthers && isLockConflict(error))) throw error;
        }
      }
      return deleteListed(range, maxRows);
    },
  };
}

/** Where a batch has run into the time limit, the next ones begin with as many rows as can be deleted almost always. */
const FIRST_ROWS_AFTER_TIMEOUT = 64;
