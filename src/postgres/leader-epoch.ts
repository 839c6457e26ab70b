import type { Queryable } from "./database.ts";

/** A leader's right to write: its cluster's epoch at the time of its election. A bigint, as text. */
export interface Fence {
  readonly clusterId: string;
  readonly epoch: string;
}

/**
 * Starts a new epoch of a cluster's leadership. Waits for the writes of the old epoch that are under way; those that
 * come after find it over.
 */
export async function raiseEpoch(db: Queryable, clusterId: string, holder: string): Promise<Fence> {
  const [row] = await db.query<{ epoch: string }>({
    text: "select apitoken.raise_epoch($1, $2) as epoch",
    values: [clusterId, holder],
  });
  if (row === undefined) throw new Error("the database did not return the epoch that it had raised");
  return { clusterId, epoch: row.epoch };
}

/**
 * Whether the database has forgotten a leader's epoch: it was restored from a backup. An epoch that is over because
 * another leader has come is a newer one.
 */
export async function isForgotten(db: Queryable, { clusterId, epoch }: Fence): Promise<boolean> {
  const [row] = await db.query<{ is_forgotten: boolean }>({
    text: `select not exists (select from apitoken.leader_epoch where cluster_id = $1 and epoch >= $2) as is_forgotten`,
    values: [clusterId, epoch],
  });
  return row?.is_forgotten === true;
}

/** Whether an epoch is over: another leader has begun a newer one. */
export async function isOver(db: Queryable, { clusterId, epoch }: Fence): Promise<boolean> {
  const [row] = await db.query<{ is_over: boolean }>({
    name: "is-epoch-over",
    text: "select exists (select from apitoken.leader_epoch where cluster_id = $1 and epoch > $2) as is_over",
    values: [clusterId, epoch],
  });
  return row?.is_over === true;
}
