/*
 * What verifiers have noted: uses of tokens, what was unusual about them, and tokens that their holders have ended. Their role may
 * only add to these tables, so the controller takes it over.
 */
import type { Queryable } from "./database.ts";
import { FencedError } from "./errors.ts";
import type { Fence } from "./leader-epoch.ts";

/** The reasons for which holders end tokens; the schema allows no other. */
export const HOLDER_REASONS = ["RevokedByHolder", "Leaked"] as const;

const BATCH = 1_000;

/** What a batch of uses has brought. */
export interface FoldedUses {
  readonly taken: number;
  /** The ApiTokens of the cluster whose status should name the use: it is the first for a while. */
  readonly news: readonly { readonly namespace: string; readonly name: string }[];
}

/**
 * Takes over a batch of uses. It needs no fence: two leaders take different ones, and only a later use replaces an earlier one.
 * Rows that others have locked wait for the next batch, so nobody waits for anybody.
 */
export async function foldUses(db: Queryable, clusterId: string): Promise<FoldedUses> {
  const [inbox] = await db.query<{ is_empty: boolean }>({
    name: "are-there-uses",
    text: "select not exists (select from apitoken.token_uses) as is_empty",
  });
  if (inbox?.is_empty !== false) return { taken: 0, news: [] }; // a statement that changes nothing would cost a transaction id
  const [row] = await db.query<{ taken: number; news: FoldedUses["news"] }>({
    name: "fold-uses",
    text: `with batch as materialized (
             select ctid as place, token_id from apitoken.token_uses limit ${BATCH} for update skip locked
           ), free as materialized (
             select t.id, t.last_used_at as used_before from apitoken.tokens t
             where t.id in (select token_id from batch) order by t.id for update skip locked
           ), taken as (
             delete from apitoken.token_uses u
             where u.ctid = any (array(
               select place from batch b
               where b.token_id in (select id from free)
                 or not exists (select from apitoken.tokens t where t.id = b.token_id)))
             returning u.token_id, u.used_at, u.address
           ), latest as (
             select distinct on (token_id) token_id, used_at, address from taken order by token_id, used_at desc
           ), change as (
             update apitoken.tokens t set last_used_at = l.used_at, last_used_address = l.address
             from latest l join free f on f.id = l.token_id
             where t.id = l.token_id and (t.last_used_at is null or t.last_used_at < l.used_at)
             returning t.namespace, t.name, t.cluster_id = $1 and ${IS_NEWS} as is_news)
           select (select count(*)::integer from taken) as taken,
             (select coalesce(jsonb_agg(distinct jsonb_build_object('namespace', namespace, 'name', name)), '[]')
              from change where is_news) as news`,
    values: [clusterId],
  });
  return row ?? { taken: 0, news: [] };
}

/**
 * Whether a use is the first in a new hour or, once the token's end is set, in new five minutes: statuses report uses this often. The
 * hours of different tokens begin at different times, so that not all statuses are written at once.
 */
const IS_NEWS = `(f.used_before is null or (
  select date_bin(width, f.used_before, origin) <> date_bin(width, l.used_at, origin)
  from (values (case when t.revoked_at is null then interval '1 hour' else interval '5 minutes' end,
                to_timestamp(hashtext(t.id) & 2047))) as bin (width, origin)))`;

/** Something unusual that a verifier has noticed about a token of the cluster. */
export interface NoticedAnomaly {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly tokenId: string;
  readonly kind: string;
  readonly address: string | undefined;
}

/**
 * Takes a batch of anomalies of a cluster's tokens, each once. Those that nobody has taken for a day are forgotten, as are those of
 * tokens without a row: the audit trail has them. It needs no fence, because each is taken once.
 */
export async function takeAnomalies(db: Queryable, clusterId: string): Promise<NoticedAnomaly[]> {
  const [inbox] = await db.query<{ is_empty: boolean }>({
    name: "are-there-anomalies",
    text: "select not exists (select from apitoken.anomalies) as is_empty",
  });
  if (inbox?.is_empty !== false) return []; // as for uses
  const rows = await db.query<
    Omit<NoticedAnomaly, "tokenId" | "address"> & { token_id: string; address: string | null }
  >({
    name: "take-anomalies",
    text: `with taken as (
               delete from apitoken.anomalies where ctid = any (array(
                 select a.ctid from apitoken.anomalies a left join apitoken.tokens t on t.id = a.token_id
                 where t.id is null or t.cluster_id = $1 or a.noticed_at < now() - interval '1 day'
                 limit ${BATCH} for update of a skip locked))
               returning token_id, kind, address
             )
             select distinct on (t.id, a.kind) t.namespace, t.name, t.resource_uid as uid, t.id as token_id, a.kind,
               host(a.address) as address
             from taken a join apitoken.tokens t on t.id = a.token_id where t.cluster_id = $1`,
    values: [clusterId],
  });
  return rows.map(({ token_id, address, ...row }) => ({ ...row, tokenId: token_id, address: address ?? undefined }));
}

/** Revokes tokens of a cluster that their holders have ended. Throws a FencedError. */
export async function carryOutEnds(db: Queryable, { clusterId, epoch }: Fence, ids: readonly string[]): Promise<void> {
  const [row] = await db.query<{ is_leader: boolean }>({
    name: "carry-out-ends",
    text: "select apitoken.carry_out_ends($1, $2, $3) as is_leader",
    values: [epoch, clusterId, ids],
  });
  if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
}
