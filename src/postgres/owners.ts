/*
 * Owners with suspiciously many tokens, counted by the database because the caches do not know rows.
 */
import type { Queryable } from "./database.ts";

/** How many owners of a cluster have more live tokens than each of the limits, in the order of the limits. */
export async function countOwnersOver(db: Queryable, clusterId: string, limits: readonly number[]): Promise<number[]> {
  const rows = await db.query<{ owners: string }>({
    name: "count-owners-over",
    text: `with busy as materialized (
             select count(*) as tokens from apitoken.tokens t
             where cluster_id = $1 and apitoken.is_live(t, now())
             group by owner having count(*) > (select min(l) from unnest($2::integer[]) as l))
           select (select count(*) from busy where tokens > most) as owners
           from unnest($2::integer[]) with ordinality as l (most, number) order by number`,
    values: [clusterId, limits],
  });
  return rows.map(({ owners }) => Number(owners));
}
