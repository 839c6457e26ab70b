/*
 * The pool through which every statement runs. All sessions of a program have its role, its name and its time limits, and every
 * error is classified, so that callers can tell an outage from a refusal.
 */
import pg from "pg";
import { classifyError, isCollision } from "./errors.ts";
import { createClientWithPasswordFile } from "./password-file.ts";

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

/** Creates a pool. The first query opens the first connection. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool(toPoolConfig(options));
  pool.on("error", (error) => options.onIdleError?.(error));
  // While the pool closes a broken connection, it has no error handler, and an unhandled error would end the process.
  pool.on("connect", (client) => client.on("error", () => {}));

  return {
    query: (statement) => run(pool, statement, TRIES),
    async withConnection(use) {
      const client = await pool.connect().catch((error: unknown) => {
        throw classifyError(error);
      });
      let isBroken = false;
      const ended = new Promise<void>((resolve) => client.once("end", resolve));
      const breakOff = () => {
        isBroken = true;
      };
      client.on("error", breakOff);
      try {
        return await use({
          query: (statement) => run(client, statement),
          onNotification: (handle) =>
            void client.on("notification", ({ channel, payload }) => handle(channel, payload ?? "")),
          ended,
        });
      } catch (error) {
        isBroken = true; // the state of the session is unknown
        throw error;
      } finally {
        client.removeListener("error", breakOff);
        client.release(isBroken);
      }
    },
    get usage() {
      return { open: pool.totalCount, waiting: pool.waitingCount };
    },
    close: () => pool.end(),
  };
}

function toPoolConfig(options: DatabaseOptions): pg.PoolConfig {
  const { connectTimeoutMs = 5_000, statementTimeoutMs = 10_000 } = options;
  return {
    connectionString: options.url,
    ...(options.passwordFile === undefined ? {} : { Client: createClientWithPasswordFile(options.passwordFile) }),
    max: options.maxConnections,
    application_name: options.actor,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: IDLE_MS,
    // The server ends a statement first; the client's limit is for a server that does not answer at all.
    query_timeout: statementTimeoutMs > 0 ? statementTimeoutMs + 2_000 : 0,
    keepAlive: true,
    // Set while connecting, not by a statement afterwards, so no session ever runs without its role.
    options: `${options.role === undefined ? "" : `-c role=${options.role} `}-c apitoken.actor=${options.actor} -c statement_timeout=${statementTimeoutMs}`,
  };
}

async function run<Row extends pg.QueryResultRow>(
  on: pg.Pool | pg.ClientBase,
  statement: Statement,
  tries = 1,
): Promise<Row[]> {
  const { name, text, values = [] } = statement;
  try {
    const result = await on.query<Row>({ ...(name === undefined ? {} : { name }), text, values: [...values] });
    return result.rows;
  } catch (error) {
    if (tries > 1 && isCollision(error)) return run(on, statement, tries - 1);
    throw classifyError(error);
  }
}
