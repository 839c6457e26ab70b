/*
 * The cleanup has no process between its runs that could be scraped, so the controller exports its figures from what the runs
 * have recorded.
 */
import type { Queryable } from "../database.ts";

/** What the cleanup has recorded about a table, for metrics. */
export interface TargetFigures {
  readonly table: string;
  readonly outcome: string;
  /** In all recorded runs, by reason. */
  readonly deleted: {
    readonly expired: number;
    readonly revoked: number;
    readonly partition: number;
    readonly cascade: number;
  };
  readonly rows: { readonly live: number; readonly expired: number; readonly revoked: number };
  readonly backlog: number;
  readonly held: number;
  readonly oldestDeadAt: Date | undefined;
  /** How long the last run kept dead rows, in milliseconds, by the reason of their end. */
  readonly retention: { readonly expired: number; readonly revoked: number };
  readonly tableBytes: number;
  readonly indexBytes: number;
  readonly deadTuples: number;
}

export interface CleanupFigures {
  readonly lastRun:
    | { readonly finishedAt: Date; readonly durationSeconds: number; readonly outcome: string }
    | undefined;
  readonly lastSuccessAt: Date | undefined;
  readonly targets: readonly TargetFigures[];
}

const OWN_TABLE = "apitoken.tokens";

/** What cleanup_runs has recorded about the last runs, and how many tokens the next one would delete now. */
export async function readCleanupFigures(db: Queryable): Promise<CleanupFigures> {
  const [run] = await db.query<{
    finished_at: Date | null;
    duration: string;
    outcome: string;
    last_success_at: Date | null;
  }>({
    text: `select r.finished_at, extract(epoch from r.finished_at - r.started_at) as duration, r.outcome,
                  (select max(finished_at) from apitoken.cleanup_runs where outcome = 'succeeded') as last_success_at
           from (select 1) as one left join apitoken.cleanup_runs r on r.id = (
             select max(id) from apitoken.cleanup_runs where outcome is not null)`,
  });
  const targets = await db.query<TargetRow>({ text: TARGETS });
  const own = await readOwnBacklog(
    db,
    targets.find(({ table }) => table === OWN_TABLE),
  );
  const others = targets.filter(({ table }) => table !== OWN_TABLE).map(toFigures);
  return {
    lastRun:
      run?.finished_at == null
        ? undefined
        : { finishedAt: run.finished_at, durationSeconds: Number(run.duration), outcome: run.outcome },
    lastSuccessAt: run?.last_success_at ?? undefined,
    targets: [own, ...others],
  };
}

interface TargetRow {
  table: string;
  outcome: string;
  counts:
    | (Record<"live" | "expired" | "revoked" | "held" | "tableBytes" | "indexBytes" | "deadTuples", number> & {
        due: { expired: number; revoked: number };
        oldestDeadAt?: string;
      })
    | null;
  retention: { expiredMs: number; revokedMs: number };
  expired: string;
  revoked: string;
  partition: string;
  cascade: string;
}

/** A table that no run could count yet. */
const NOT_COUNTED: NonNullable<TargetRow["counts"]> = {
  live: 0,
  expired: 0,
  revoked: 0,
  held: 0,
  tableBytes: 0,
  indexBytes: 0,
  deadTuples: 0,
  due: { expired: 0, revoked: 0 },
};

/**
 * For each table its newest run, the newest counts, and the sums over all runs. Only tables that the newest run has looked at:
 * the others are no longer configured, and an alert about one of them would never clear.
 */
const TARGETS = `
  with looked as (
    select r.id, t->>'table' as table_name, t as target,
           coalesce(nullif(t->'after', 'null'), nullif(t->'before', 'null')) as counts
    from apitoken.cleanup_runs r, jsonb_array_elements(r.targets) as t
    where r.started_at > now() - interval '400 days' and t ? 'retention'
  ), sums as (
    select table_name, max(id) as newest, max(id) filter (where counts is not null) as counted,
           sum((target->'deleted'->>'expired')::bigint) as expired,
           sum((target->'deleted'->>'revoked')::bigint) as revoked,
           sum((target->'deleted'->>'cascaded')::bigint) as cascade,
           sum((select coalesce(sum((p->>'rows')::bigint), 0)
                from jsonb_array_elements(target->'partitions'->'dropped') as p)) as partition
    from looked group by table_name
  )
  select l.table_name as table, l.target->>'outcome' as outcome, l.target->'retention' as retention, c.counts,
         s.expired, s.revoked, s.cascade, s.partition
  from sums s join looked l on l.table_name = s.table_name and l.id = s.newest
    left join looked c on c.table_name = s.table_name and c.id = s.counted
  where s.newest = (select max(id) from looked)
  order by 1`;

function toFigures({ table, outcome, counts: found, retention, ...sums }: TargetRow): TargetFigures {
  const counts = found ?? NOT_COUNTED;
  return {
    table,
    outcome,
    deleted: {
      expired: Number(sums.expired),
      revoked: Number(sums.revoked),
      partition: Number(sums.partition),
      cascade: Number(sums.cascade),
    },
    rows: { live: counts.live, expired: counts.expired, revoked: counts.revoked },
    backlog: counts.due.expired + counts.due.revoked,
    held: counts.held,
    oldestDeadAt: counts.oldestDeadAt === undefined ? undefined : new Date(counts.oldestDeadAt),
    retention: { expired: retention.expiredMs, revoked: retention.revokedMs },
    tableBytes: counts.tableBytes,
    indexBytes: counts.indexBytes,
    deadTuples: counts.deadTuples,
  };
}

const DEFAULT_RETENTION_MS = 7 * 86_400_000;

/** The backlog of tokens is read from the table itself, through its indexes, with the retention of the last run. */
async function readOwnBacklog(db: Queryable, noted: TargetRow | undefined): Promise<TargetFigures> {
  const { expiredMs = DEFAULT_RETENTION_MS, revokedMs = DEFAULT_RETENTION_MS } = noted?.retention ?? {};
  const [now] = await db.query<{ backlog: string; oldest: Date | null }>({
    text: `select (select count(*) from apitoken.tokens t where expires_at <= now() - make_interval(secs => $1)
                     and apitoken.grace_end(t) <= now() - make_interval(secs => $1))
                  + (select count(*) from apitoken.tokens t where revoked_at <= now() - make_interval(secs => $2)
                       and apitoken.grace_end(t) > now() - make_interval(secs => $1)) as backlog,
                  least((select min(apitoken.grace_end(t)) from apitoken.tokens t
                         where expires_at <= now() and apitoken.grace_end(t) <= now()),
                        (select min(revoked_at) from apitoken.tokens where revoked_at <= now())) as oldest`,
    values: [expiredMs / 1_000, revokedMs / 1_000],
  });
  const figures = toFigures(
    noted ?? {
      table: OWN_TABLE,
      outcome: "succeeded",
      counts: null,
      retention: { expiredMs, revokedMs },
      expired: "0",
      revoked: "0",
      partition: "0",
      cascade: "0",
    },
  );
  return { ...figures, backlog: Number(now?.backlog ?? 0), oldestDeadAt: now?.oldest ?? undefined };
}
