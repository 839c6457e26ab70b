/*
 * Postgres keeps all notifications of a server in one queue until every session that listens has read them, and whoever commits
 * with one fails once the queue is full. Any login can fill it: one session listens and leaves a transaction open, another sends.
 * So what writes tokens notifies only while there is room (apitoken.notify_change), and meanwhile whoever listens must look.
 */
import { describeBackend } from "./blockers.ts";
import type { Queryable } from "./database.ts";

/** Watches the queue of the connection's server. */
export interface QueueWatch {
  /**
   * Whether changes are notified and have been since the look before. While the queue is full, `onFull` is called now and then,
   * and says which sessions have had a transaction open since the look before: one of them is what keeps the queue full.
   */
  look(): Promise<boolean>;
}

const FULL_REPORTED_EVERY_MS = 60_000;

const NAMED = 3;

interface OpenTransaction extends Record<string, unknown> {
  pid: number;
  transaction: string;
  application: string;
  login: string;
}

/** Creates a watch that asks on this connection. */
export function watchNotifyQueue(connection: Queryable, onFull: (suspects: readonly string[]) => void): QueueWatch {
  let before: ReadonlySet<string> | undefined;
  let missedBefore: string | undefined;
  let reportedAtMs = Number.NEGATIVE_INFINITY;

  const report = async () => {
    const open = await findOpenTransactions(connection);
    const lasting = before && open.filter(({ transaction }) => before?.has(transaction));
    before = new Set(open.map(({ transaction }) => transaction));
    // One look cannot tell a transaction that stays open from those that come and go.
    if (lasting === undefined || performance.now() < reportedAtMs + FULL_REPORTED_EVERY_MS) return;
    reportedAtMs = performance.now();
    onFull(lasting.slice(0, NAMED).map(describeBackend));
  };
  return {
    async look() {
      const [row] = await connection.query<{ can_notify: boolean; missed: string }>({
        text: `select apitoken.can_notify(), (last_value + is_called::integer)::text as missed
               from apitoken.missed_notifications`,
      });
      if (row === undefined) throw new Error("the database did not return how many notifications were missed");
      if (row.can_notify) before = undefined;
      else await report();
      const hasMissed = missedBefore !== undefined && missedBefore !== row.missed;
      missedBefore = row.missed;
      return row.can_notify && !hasMissed;
    },
  };
}

/** Of other sessions. The lock that each transaction holds on itself is shown to everybody, but not since when. */
function findOpenTransactions(db: Queryable): Promise<OpenTransaction[]> {
  return db.query<OpenTransaction>({
    text: `select l.pid, l.virtualtransaction as transaction, coalesce(a.application_name, '') as application,
                  coalesce(a.usename, '') as login
           from pg_locks l join pg_stat_activity a on a.pid = l.pid
           where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and l.pid <> pg_backend_pid()
             and a.usename is not null
           order by l.pid`,
  });
}
