import type { Queryable } from "../database.ts";

/** How hard the server has it just now. */
export interface Pressure {
  /** Of the slowest replica, as the server last measured it; undefined where there is none, or none that is seen. */
  readonly replicaLagMs: number | undefined;
  /** How much WAL the server has written so far, in bytes. */
  readonly walBytes: number;
  /** How much of it the slowest replica has applied; undefined where there is none, or none that is seen. */
  readonly appliedBytes: number | undefined;
  /** Sessions that wait for a lock that one of ours holds. */
  readonly waiters: number;
  /** The number that the next transaction will get that writes. */
  readonly nextXid: bigint;
}

/**
 * Reads it on a connection of its own, while the batches run on others (`pids`). pg_locks and pg_blocking_pids are open
 * to everybody; the lag of replicas is shown to members of pg_monitor only.
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

/** The number that the next transaction will get that writes. */
export async function readNextXid(db: Queryable): Promise<bigint> {
  const [row] = await db.query<{ next_xid: string }>({ text: `select ${NEXT_XID}` });
  return BigInt(row?.next_xid ?? 0);
}

/** How much WAL the server has written so far, in bytes. */
export async function readWalBytes(db: Queryable): Promise<number> {
  const [row] = await db.query<{ bytes: string }>({
    text: "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as bytes",
  });
  return Number(row?.bytes ?? 0);
}

/** The server process of a session. */
export async function findPid(session: Queryable): Promise<number> {
  const [row] = await session.query<{ pid: number }>({ text: "select pg_backend_pid() as pid" });
  return row?.pid ?? 0;
}

/** What keeps a run from deleting anything in this database, whatever its targets are. */
export interface ServerState {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  /** Of the database's clock minus that of this process. */
  readonly clockDifferenceMs: number;
  /** Whether the role sees the replicas' lag. */
  readonly seesReplicas: boolean;
  /** When a run has last begun, if that lies ahead: the database's clock was set back. */
  readonly lastRunAhead: Date | undefined;
}

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
  if (row === undefined) throw new Error("the database did not tell its state");
  const middleMs = (askedAtMs + Date.now()) / 2;
  return {
    isStandby: row.is_standby,
    isReadOnly: row.is_read_only,
    clockDifferenceMs: Number(row.now_ms) - middleMs,
    seesReplicas: row.sees_replicas,
    lastRunAhead: row.last_run_ahead ?? undefined,
  };
}
