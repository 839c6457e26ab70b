/*
 * How much the cleanup disturbs others at the moment: between batches it pauses when replicas lag, WAL piles up or somebody waits
 * for its locks.
 */
import type { Queryable } from "../database.ts";

/** The load on the server at this moment. */
export interface Pressure {
  /** The lag of the slowest replica, as last measured by the server; undefined if there is no replica or none is visible. */
  readonly replicaLagMs: number | undefined;
  /** How much WAL the server has written so far, in bytes. */
  readonly walBytes: number;
  /** How much of the WAL the slowest replica has applied; undefined if there is no replica or none is visible. */
  readonly appliedBytes: number | undefined;
  /** The number of sessions that wait for a lock held by one of ours. */
  readonly waiters: number;
  /** The id of the next transaction that writes. */
  readonly nextXid: bigint;
}

/**
 * Reads the load on a connection of its own, while the batches run on others (`pids`). Everybody may read pg_locks and
 * pg_blocking_pids; only members of pg_monitor see the lag of replicas.
 */
export async function readPressure(db: Queryable, pids: readonly number[]): Promise<Pressure> {
  const [row] = await db.query<{
    lag_ms: string | null;
    wal: string;
    applied: string | null;
    waiters: string;
    next_xid: string;
  }>({
    text: `select (select extract(epoch from max(case when state = 'streaming' and replay_lag is null
                     and replay_lsn >= pg_current_wal_lsn() then interval '0' else replay_lag end)) * 1000
                   from pg_stat_replication) as lag_ms,
                  pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as wal,
                  (select pg_wal_lsn_diff(min(replay_lsn), '0/0') from pg_stat_replication) as applied,
                  (select count(distinct pid) from pg_locks
                   where not granted and not pid = any($1) and pg_blocking_pids(pid) && $1::integer[]) as waiters,
                  ${NEXT_XID}`,
    values: [pids],
  });
  return {
    replicaLagMs: row?.lag_ms == null ? undefined : Number(row.lag_ms),
    walBytes: Number(row?.wal ?? 0),
    appliedBytes: row?.applied == null ? undefined : Number(row.applied),
    waiters: Number(row?.waiters ?? 0),
    nextXid: BigInt(row?.next_xid ?? 0),
  };
}

const NEXT_XID = "pg_snapshot_xmax(pg_current_snapshot())::text as next_xid";

/** The id of the next transaction that writes. */
export async function readNextXid(db: Queryable): Promise<bigint> {
  const [row] = await db.query<{ next_xid: string }>({ text: `select ${NEXT_XID}` });
  return BigInt(row?.next_xid ?? 0);
}

/** How much WAL the server has produced so far, in bytes, on disk or not yet. */
export async function readWalBytes(db: Queryable): Promise<number> {
  const [row] = await db.query<{ bytes: string }>({
    text: "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes",
  });
  return Number(row?.bytes ?? 0);
}

/** The id of a session's server process. */
export async function findPid(session: Queryable): Promise<number> {
  const [row] = await session.query<{ pid: number }>({ text: "select pg_backend_pid() as pid" });
  return row?.pid ?? 0;
}

/** Facts about the server that can forbid a run altogether, whatever its targets are. */
export interface ServerState {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  /** The database's time minus this process's. */
  readonly clockDifferenceMs: number;
  /** Whether the role sees the replicas' lag. */
  readonly seesReplicas: boolean;
  /** When the last run began, if that is in the future: the database's clock was set back. */
  readonly lastRunAhead: Date | undefined;
}

/** Reads these facts. */
export async function readServerState(db: Queryable): Promise<ServerState> {
  const askedAtMs = Date.now();
  const [row] = await db.query<{
    is_standby: boolean;
    is_read_only: boolean;
    now_ms: string;
    sees_replicas: boolean;
    last_run_ahead: Date | null;
  }>({
    text: `select pg_is_in_recovery() as is_standby, current_setting('transaction_read_only')::boolean as is_read_only,
                  extract(epoch from clock_timestamp()) * 1000 as now_ms,
                  pg_has_role('pg_read_all_stats', 'USAGE') as sees_replicas,
                  (select max(started_at) from apitoken.cleanup_runs
                   where started_at > now() + interval '1 minute') as last_run_ahead`,
  });
  if (row === undefined) throw new Error("the database did not return its state");
  const middleMs = (askedAtMs + Date.now()) / 2;
  return {
    isStandby: row.is_standby,
    isReadOnly: row.is_read_only,
    clockDifferenceMs: Number(row.now_ms) - middleMs,
    seesReplicas: row.sees_replicas,
    lastRunAhead: row.last_run_ahead ?? undefined,
  };
}
