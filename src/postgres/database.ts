/*
 * The pool through which every statement runs. All sessions of a program have its role, its name and its time limits, and every
 * error is classified, so that callers can tell an outage, a lock and a refusal apart.
 */
import pg from "pg";
import { createLockWatch, type LockWatch } from "./blockers.ts";
import { classifyError, isCollision, isReportedByServer } from "./errors.ts";
import { createClientWithPasswordFile } from "./password-file.ts";
import { prepareSession, requireOwnSession } from "./session.ts";

/** The group roles that the migration creates, one for each program. */
export type DatabaseRole = "apitoken_controller" | "apitoken_cleanup" | "apitoken_verifier";

/** The database's address and the login. */
export interface DatabaseLogin {
  /** A libpq connection string: postgres://user:password@host:port/database?sslmode=… */
  readonly url: string;
  /** A file with the password, used instead of the URL's and read again for each connection. */
  readonly passwordFile?: string | undefined;
}

export interface DatabaseOptions extends DatabaseLogin {
  /** The role that every session assumes; the login must be a member of it. Undefined: the login's own rights. */
  readonly role?: DatabaseRole;
  /** The program's name in the audit trail and in pg_stat_activity. No spaces. */
  readonly actor: string;
  readonly maxConnections: number;
  readonly connectTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  /** How long a statement waits for a lock before it fails with a DatabaseLockedError. */
  readonly lockTimeoutMs?: number;
  /** Called when an idle connection fails, because no caller would notice. */
  readonly onIdleError?: (error: unknown) => void;
}

/** With a name, Postgres prepares the statement once per connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** Runs statements: the pool, or one of its connections. Throws what `classifyError` returns. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(statement: Statement): Promise<Row[]>;
}

/** A pool of connections to the database, all in one role. */
export interface Database extends Queryable {
  /** Runs `use` on a connection of its own; the caller restores session state and ends transactions. */
  withConnection<T>(use: (connection: Connection) => Promise<T>): Promise<T>;
  /** How many connections are open and how many callers wait for one. */
  readonly usage: { readonly open: number; readonly waiting: number };
  close(): Promise<void>;
}

/** One connection. `onNotification` is for LISTEN; `ended` resolves when the connection is lost. */
export interface Connection extends Queryable {
  onNotification(handle: (channel: string, payload: string) => void): void;
  readonly ended: Promise<void>;
}

/** Work comes in bursts, and a new connection has to log in and prepare every statement again. */
const IDLE_MS = 60_000;

/** A statement on the pool is a transaction of its own: if it collides with others and is undone, it can be repeated. */
const TRIES = 3;

const STATEMENT_TIMEOUT_MS = 10_000;

/** Short, because what waits for a lock may be a revocation: it fails, says who holds the lock, and is tried again. */
const LOCK_TIMEOUT_MS = 500;

/** Creates a pool. The first query opens the first connection. */
export function openDatabase(options: DatabaseOptions): Database {
  const Client = options.passwordFile === undefined ? pg.Client : createClientWithPasswordFile(options.passwordFile);
  const config = toClientConfig(options);
  const watch = createLockWatch(config, Client);
  const pids = new WeakMap<pg.ClientBase, number>();
  const pool = new pg.Pool({
    ...config,
    Client,
    max: options.maxConnections,
    idleTimeoutMillis: IDLE_MS,
    onConnect: createPreparation(options, () => new Client(config), pids),
  });
  pool.on("error", (error) => options.onIdleError?.(error));
  // While the pool closes a broken connection, it has no error handler, and an unhandled error would end the process.
  pool.on("connect", (client) => client.on("error", () => {}));
  const connect = () =>
    pool.connect().catch((error: unknown) => {
      throw classifyError(error);
    });
  const runOn = <Row extends pg.QueryResultRow>(client: pg.ClientBase, statement: Statement) =>
    run<Row>(client, statement, { watch, pid: pids.get(client) ?? 0 });
  const runAlone = async <Row extends pg.QueryResultRow>(statement: Statement, tries: number): Promise<Row[]> => {
    const client = await connect();
    let failure: unknown;
    try {
      return await runOn<Row>(client, statement);
    } catch (error) {
      failure = error;
      if (tries === 1 || !isCollision(error)) throw error;
    } finally {
      client.release(failure !== undefined && !isReportedByServer(failure));
    }
    return runAlone(statement, tries - 1);
  };

  return {
    query: (statement) => runAlone(statement, TRIES),
    async withConnection(use) {
      const client = await connect();
      let isBroken = false;
      const ended = Promise.withResolvers<void>();
      client.once("end", ended.resolve);
      const breakOff = () => {
        isBroken = true;
      };
      client.on("error", breakOff);
      try {
        return await use({
          query: (statement) => runOn(client, statement),
          onNotification: (handle) =>
            void client.on("notification", ({ channel, payload }) => handle(channel, payload ?? "")),
          ended: ended.promise,
        });
      } catch (error) {
        isBroken = true; // the state of the session is unknown
        throw error;
      } finally {
        client.removeListener("error", breakOff);
        client.removeListener("end", ended.resolve);
        client.release(isBroken);
      }
    },
    get usage() {
      return { open: pool.totalCount, waiting: pool.waitingCount };
    },
    close: async () => void (await Promise.all([pool.end(), watch.close()])),
  };
}

/** Prepares each new connection of a pool; before the first one, checks that sessions are not shared. */
function createPreparation(
  options: DatabaseOptions,
  createClient: () => pg.Client,
  pids: WeakMap<pg.ClientBase, number>,
): (client: pg.ClientBase) => Promise<void> {
  const { role, actor, statementTimeoutMs = STATEMENT_TIMEOUT_MS, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  let proof: Promise<void> | undefined;
  return async (client) => {
    proof ??= requireOwnSession(client, createClient()).catch((error: unknown) => {
      proof = undefined;
      throw error;
    });
    await proof;
    pids.set(client, await prepareSession(client, { role, actor, statementTimeoutMs, lockTimeoutMs }));
  };
}

function toClientConfig(options: DatabaseOptions): pg.ClientConfig {
  const { connectTimeoutMs = 5_000, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  return {
    connectionString: options.url,
    application_name: options.actor,
    connectionTimeoutMillis: connectTimeoutMs,
    // The server ends a statement first; the client's limit is for a server that does not answer at all.
    query_timeout: statementTimeoutMs > 0 ? statementTimeoutMs + 2_000 : 0,
    keepAlive: true,
  };
}

async function run<Row extends pg.QueryResultRow>(
  on: pg.ClientBase,
  { name, text, values = [] }: Statement,
  { watch, pid }: { readonly watch: LockWatch; readonly pid: number },
): Promise<Row[]> {
  watch.begin(pid);
  let blockers: string | undefined;
  try {
    const query = on.query<Row>({ ...(name === undefined ? {} : { name }), text, values: [...values] });
    const result = await query.finally(() => {
      blockers = watch.end(pid);
    });
    return result.rows;
  } catch (error) {
    throw classifyError(error, blockers);
  }
}
