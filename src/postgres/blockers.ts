/*
 * A statement that gives up waiting for a lock does not say who holds it, and afterwards nobody knows. So while statements are
 * slow, another connection asks the server.
 */
import pg from "pg";

/** Watches statements that are running. */
export interface LockWatch {
  /** Begins to watch a server process that has just been given a statement. */
  begin(pid: number): void;
  /** Ends it; returns who was last seen to make the statement wait. */
  end(pid: number): string | undefined;
  close(): Promise<void>;
}

/** Most statements are over by then. */
const SLOW_MS = 100;

/** pg_blocking_pids stops the server's lock manager for a moment, so it is asked rarely, and for waiting sessions only. */
const INTERVAL_MS = 150;

/** Sessions wait for sessions that wait themselves. Those at the end of the chain are to blame. */
const FIND_BLOCKERS = `
  with recursive chain (waiter, pid, depth) as (
    select a.pid, unnest(pg_blocking_pids(a.pid)), 1 from pg_stat_activity a
    where a.pid = any($1::integer[]) and a.wait_event_type = 'Lock'
    union
    select c.waiter, unnest(pg_blocking_pids(c.pid)), c.depth + 1 from chain c where c.depth < 4
  )
  select c.waiter, c.pid, coalesce(a.application_name, '') as application, coalesce(a.usename, '') as login
  from chain c left join pg_stat_activity a on a.pid = c.pid
  where not exists (select from chain later where later.waiter = c.waiter and later.depth > c.depth)
  order by c.waiter, c.pid`;

interface Wait {
  readonly sinceMs: number;
  blockers: string | undefined;
}

/** Creates a watch that connects with `config` once a statement is slow. It never fails: at worst it knows nothing. */
export function createLockWatch(config: pg.PoolConfig): LockWatch {
  const pool = new pg.Pool({ ...config, max: 1, idleTimeoutMillis: 10_000, allowExitOnIdle: true });
  pool.on("error", () => {});
  const waits = new Map<number, Wait>();
  let timer: NodeJS.Timeout | undefined;

  const schedule = (delayMs: number) => {
    timer = setTimeout(() => void look(), delayMs).unref();
  };
  const look = async () => {
    const nowMs = performance.now();
    const slow = [...waits].filter(([, { sinceMs }]) => nowMs - sinceMs >= SLOW_MS).map(([pid]) => pid);
    if (slow.length > 0) await ask(slow).catch(() => {});
    timer = undefined;
    if (waits.size > 0) schedule(INTERVAL_MS);
  };
  const ask = async (pids: readonly number[]) => {
    const { rows } = await pool.query<Blocker & { waiter: number }>(FIND_BLOCKERS, [pids]);
    for (const pid of new Set(rows.map(({ waiter }) => waiter))) {
      const wait = waits.get(pid);
      if (wait !== undefined) wait.blockers = describe(rows.filter(({ waiter }) => waiter === pid));
    }
  };

  return {
    begin(pid) {
      waits.set(pid, { sinceMs: performance.now(), blockers: undefined });
      if (timer === undefined) schedule(SLOW_MS + 20);
    },
    end(pid) {
      const wait = waits.get(pid);
      waits.delete(pid);
      return wait?.blockers;
    },
    async close() {
      clearTimeout(timer);
      waits.clear();
      await pool.end();
    },
  };
}

interface Blocker {
  pid: number;
  application: string;
  login: string;
}

const NAMED = 3;

/** For logs and statuses. Applications name themselves, so their names are shortened and quoted. */
function describe(blockers: readonly Blocker[]): string {
  const named = blockers
    .slice(0, NAMED)
    .map(
      ({ pid, application, login }) =>
        `server process ${pid} (application ${JSON.stringify(application.slice(0, 40))}, login ${JSON.stringify(login)})`,
    );
  const more = blockers.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
