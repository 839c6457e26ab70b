/*
 * What the database knows of keys it never sees: check values that reveal replaced bytes, and which keys are still needed.
 */
import type { AnyKeyKind, KeyCheck, KeyKind, KeyUse } from "../token/key-status.ts";
import type { Queryable } from "./database.ts";

/** The keys that a cluster has recorded with another check value: somebody has replaced their bytes. */
export async function findSwappedKeys(
  db: Queryable,
  clusterId: string,
  keys: readonly KeyCheck[],
): Promise<KeyCheck[]> {
  const known = await findKeyChecks(db, clusterId);
  return keys.filter((key) => known.some((other) => isSwapped(key, other)));
}

/** Records the check values of keys that are new to a cluster; returns the keys whose bytes were replaced. */
export async function checkKeys(db: Queryable, clusterId: string, keys: readonly KeyCheck[]): Promise<KeyCheck[]> {
  const known = await findKeyChecks(db, clusterId);
  const fresh = keys.filter((key) => !known.some((other) => isSameKey(key, other)));
  if (fresh.length === 0) return keys.filter((key) => known.some((other) => isSwapped(key, other)));
  await db.query({
    text: `insert into apitoken.keys (cluster_id, kind, id, check_value)
           select $1, * from unnest($2::text[], $3::text[], $4::bytea[])
           on conflict do nothing`,
    values: [clusterId, fresh.map(({ kind }) => kind), fresh.map(({ id }) => id), fresh.map((key) => key.checkValue)],
  });
  // Another controller may have recorded other bytes at the same time.
  return checkKeys(db, clusterId, keys);
}

async function findKeyChecks(db: Queryable, clusterId: string): Promise<KeyCheck[]> {
  const rows = await db.query<{ kind: AnyKeyKind; id: string; check_value: Buffer }>({
    text: "select kind, id, check_value from apitoken.keys where cluster_id = $1",
    values: [clusterId],
  });
  return rows.map(({ kind, id, check_value }) => ({ kind, id, checkValue: check_value }));
}

function isSameKey(left: KeyCheck, right: KeyCheck): boolean {
  return left.kind === right.kind && left.id === right.id;
}

function isSwapped(key: KeyCheck, known: KeyCheck): boolean {
  return isSameKey(key, known) && !key.checkValue.equals(known.checkValue);
}

/** The database's time, and which keys the accepted tokens of a cluster need. */
export async function findKeyUses(db: Queryable, clusterId: string): Promise<{ now: Date; uses: KeyUse[] }> {
  const rows = await db.query<{ now: Date; kind: KeyKind | null; id: string; rows: number; last_ends_at: Date }>({
    text: `with accepted as (
             select key_id, metadata_key_id, apitoken.accepted_until(t) as ends_at
             from apitoken.tokens t where cluster_id = $1 and apitoken.is_accepted(t, now())
           ), uses as (
             select 'pepper' as kind, key_id as id, ends_at from accepted
             union all
             select 'encryption', metadata_key_id, ends_at from accepted where metadata_key_id is not null
           ), counted as (
             select kind, id, count(*)::integer as rows, max(ends_at) as last_ends_at from uses group by kind, id
           )
           select now(), counted.* from (select) as always left join counted on true
           order by kind, last_ends_at desc`,
    values: [clusterId],
  });
  const uses = rows.flatMap(({ kind, id, rows: count, last_ends_at }) =>
    kind === null ? [] : [{ kind, id, rows: count, lastEndsAt: last_ends_at }],
  );
  return { now: rows[0]?.now ?? new Date(), uses };
}
