/*
 * The Lease alone cannot stop a leader that was frozen and wakes up. Every write therefore carries an epoch, which the database
 * checks.
 */
import type { Queryable } from "./database.ts";
import { LateEpochError } from "./errors.ts";

/** A leader's right to write: the epoch that it began in its cluster. A bigint, as text. */
export interface Fence {
  readonly clusterId: string;
  readonly epoch: string;
}

/**
 * Begins a new epoch of a cluster's leadership. Waits for the writes in progress of the old epoch; later ones are refused. Two
 * transactions: writers see the new epoch, and stop, only once the first has committed. `heldForMs` says how much longer the
 * caller certainly leads: the database begins no epoch after that, since it would end that of the next leader for good. Then
 * throws a LateEpochError.
 */
export async function raiseEpoch(
  db: Queryable,
  clusterId: string,
  holder: string,
  heldForMs: () => number = () => Number.POSITIVE_INFINITY,
): Promise<Fence> {
  // By the database's clock, so a statement that arrives late is late there. The time left is read after the answer: it
  // then ends no later by the database's clock than by ours.
  const [clock] = await db.query<{ ms: string }>({ text: "select extract(epoch from clock_timestamp()) * 1000 as ms" });
  const [row] = await db.query<{ epoch: string | null }>({
    text: "select apitoken.raise_epoch($1, $2, to_timestamp($3::float8 / 1000)) as epoch",
    values: [clusterId, holder, Number(clock?.ms) + heldForMs()],
  });
  if (!row?.epoch) throw new LateEpochError();
  await db.query({ text: "select apitoken.await_writers($1)", values: [clusterId] });
  return { clusterId, epoch: row.epoch };
}

/**
 * Whether the database no longer knows a leader's epoch, because it was restored from a backup. False if another leader has
 * begun a newer epoch.
 */
export async function isForgotten(db: Queryable, { clusterId, epoch }: Fence): Promise<boolean> {
  const [row] = await db.query<{ is_forgotten: boolean }>({
    text: `select not exists (select from apitoken.leader_epoch where cluster_id = $1 and epoch >= $2) as is_forgotten`,
    values: [clusterId, epoch],
  });
  return row?.is_forgotten === true;
}

/** Whether an epoch is over because another leader has begun a newer one. */
export async function isOver(db: Queryable, { clusterId, epoch }: Fence): Promise<boolean> {
  const [row] = await db.query<{ is_over: boolean }>({
    name: "is-epoch-over",
    text: "select exists (select from apitoken.leader_epoch where cluster_id = $1 and epoch > $2) as is_over",
    values: [clusterId, epoch],
  });
  return row?.is_over === true;
}
