/*
 * A token that is still used after its end means a consumer that missed a rotation, or somebody who should not have the token.
 * The alerts are based on this count.
 */
import type { Queryable } from "./database.ts";

/** How many tokens of a cluster were recently used after their end, by what had ended them. */
export interface EndedInUse {
  readonly expired: number;
  readonly revoked: number;
}

/**
 * Counts the tokens whose last use was within the last hour and after they stopped being accepted. Rows that the cleanup has
 * deleted are not counted.
 */
export async function countEndedInUse(db: Queryable, clusterId: string): Promise<EndedInUse> {
  const [row] = await db.query<{ expired: string; revoked: string }>({
    name: "count-ended-in-use",
    text: `select count(*) filter (where revoked_at <= grace_end) as revoked,
                  count(*) filter (where revoked_at is null or revoked_at > grace_end) as expired
           from (select revoked_at, apitoken.grace_end(t) as grace_end
                 from apitoken.tokens t
                 where cluster_id = $1 and not apitoken.is_live(t, now())
                   and last_used_at > now() - interval '1 hour'
                   and last_used_at > apitoken.accepted_until(t)) as used`,
    values: [clusterId],
  });
  return { expired: Number(row?.expired ?? 0), revoked: Number(row?.revoked ?? 0) };
}
