/*
 * Revokes in batches, because a cluster may have more live tokens than one statement can revoke within its time limit.
 */
import type { Queryable } from "./database.ts";
import { FencedError } from "./errors.ts";
import type { Fence } from "./leader-epoch.ts";

/** Each revocation also writes an event and sends a notification; a batch of this size stays well within the time limit. */
const BATCH = 1_000;

/**
 * Revokes every live token of a cluster or, if any are given, of these namespaces. Returns how many it has revoked. Throws a
 * FencedError; tokens revoked by then stay revoked.
 */
export async function revokeAllTokens(
  db: Queryable,
  { clusterId, epoch }: Fence,
  namespaces: readonly string[],
  reason: string,
): Promise<number> {
  for (let revoked = 0; ; ) {
    const [row] = await db.query<{ is_leader: boolean; revoked: number }>({
      name: "revoke-all-tokens",
      text: `with fence as (
               select where apitoken.is_leader($1, $2)
             ), due as (
               select id from apitoken.tokens t
               where cluster_id = $1 and apitoken.is_accepted(t, now())
                 and (cardinality($3::text[]) = 0 or namespace = any($3))
               limit ${BATCH}
             ), change as (
               update apitoken.tokens set revoked_at = now(), revocation_reason = $4
               where id in ( -- locked in the order of their ids, like everything that changes several rows
                 select id from apitoken.tokens t
                 where id in (select id from due) and apitoken.is_accepted(t, now()) and exists (select from fence)
                 order by id for update)
               returning 1)
             select exists (select from fence) as is_leader, (select count(*)::integer from change) as revoked`,
      values: [clusterId, epoch, namespaces, reason],
    });
    if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
    revoked += row.revoked;
    if (row.revoked === 0) return revoked;
  }
}
