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

/** A statement that has run this long is asked about once in this time: it has a longer time limit. */
const LONG_MS = 1_000;

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
  askedAtMs: number;
  blockers: string | undefined;
}

/** Creates a watch that connects with `config` once a statement is slow. It never fails: at worst it knows nothing. */
export function createLockWatch(config: pg.ClientConfig, Client = pg.Client): LockWatch {
  const pool = new pg.Pool({ ...config, Client, max: 1, idleTimeoutMillis: 10_000, allowExitOnIdle: true });
  pool.on("error", () => {});
  const waits = new Map<number, Wait>();
  let timer: NodeJS.Timeout | undefined;

  const schedule = (delayMs: number) => {
    timer = setTimeout(() => void look(), delayMs).unref();
  };
  const look = async () => {
    const nowMs = performance.now();
    const slow = [...waits].filter(([, wait]) => isDue(wait, nowMs));
    const isAnswered = slow.length === 0 || (await ask(slow.map(([pid]) => pid)));
    for (const [, wait] of slow) wait.askedAtMs = nowMs;
    timer = undefined;
    if (waits.size > 0) schedule(isAnswered ? INTERVAL_MS : LONG_MS);
  };
  const ask = (pids: readonly number[]) =>
    askServer(pids).then(
      () => true,
      () => false,
    );
  const askServer = async (pids: readonly number[]) => {
    const { rows } = await pool.query<Blocker & { waiter: number }>(FIND_BLOCKERS, [pids]);
    for (const pid of new Set(rows.map(({ waiter }) => waiter))) {
      const wait = waits.get(pid);
      if (wait !== undefined) wait.blockers = describe(rows.filter(({ waiter }) => waiter === pid));
    }
  };

  return {
    begin(pid) {
      waits.set(pid, { sinceMs: performance.now(), askedAtMs: 0, blockers: undefined });
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

function isDue({ sinceMs, askedAtMs }: Wait, nowMs: number): boolean {
  const ageMs = nowMs - sinceMs;
  return ageMs >= LONG_MS ? nowMs - askedAtMs >= LONG_MS : ageMs >= SLOW_MS;
}

/** A session of the database, as everybody may see it. */
export interface Blocker {
  readonly pid: number;
  readonly application: string;
  readonly login: string;
}

/** A session for logs and statuses. Applications name themselves, so their names are shortened and quoted. */
export function describeBackend({ pid, application, login }: Blocker): string {
  return `server process ${pid} (application ${JSON.stringify(application.slice(0, 40))}, login ${JSON.stringify(login)})`;
}

const NAMED = 3;

function describe(blockers: readonly Blocker[]): string {
  const named = blockers.slice(0, NAMED).map(describeBackend);
  const more = blockers.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
