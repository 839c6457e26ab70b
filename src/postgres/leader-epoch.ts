import type { Queryable } from "./database.ts";
import type { Fence } from "./tokens.ts";

/**
 * Starts a new epoch of a cluster's leadership. Waits for the writes of the old epoch that are under way; those that
 * come after find it over.
 */
export async function raiseEpoch(db: Queryable, clusterId: string, holder: string): Promise<Fence> {
  const [row] = await db.query<{ epoch: string }>({
    text: `insert into apitoken.leader_epoch as current (cluster_id, epoch, holder) values ($1, 1, $2)
           on conflict (cluster_id) do update set epoch = current.epoch + 1, holder = $2, acquired_at = now()
           returning epoch`,
    values: [clusterId, holder],
  });
  if (row === undefined) throw new Error("the database did not return the epoch that it had raised");
  return { clusterId, epoch: row.epoch };
}
