/*
 * What every statement relies on is set by statements right after connecting, and read back. Options that are sent while
 * connecting would be lost without a word if DATABASE_URL has options of its own, or if a connection pooler ignores them.
 */
import type pg from "pg";
import { Fault } from "../runtime/fault.ts";
import { sqlState } from "./errors.ts";

/** What differs from program to program. */
export interface SessionOptions {
  /** The role that the session assumes; undefined: the login's own rights. */
  readonly role: string | undefined;
  /** The program's name in the audit trail and in pg_stat_activity. */
  readonly actor: string;
  /** 0: no limit. */
  readonly statementTimeoutMs: number;
  /** How long a statement waits for a lock. 0: no limit. */
  readonly lockTimeoutMs: number;
}

/** The database does not keep what a session sets: a connection pooler lends one session to many clients. */
export class SessionLostError extends Fault {
  override readonly name = "SessionLostError";

  constructor(evidence: string, options?: ErrorOptions) {
    super(
      {
        faultCode: "APITOKEN_E_SESSION_LOST",
        object: "DATABASE_URL",
        problem: `it leads to a connection pooler that does not keep a session of the database for one client: ${evidence}`,
        remedy: "connect to Postgres itself, or to a pool in session mode (PgBouncer: pool_mode = session)",
      },
      options,
    );
  }
}

/**
 * Read committed: after the wait for a lock, the next statement has to see what was committed meanwhile. The formats are those
 * that the driver reads. All of them can be given other defaults for a server, a database or a login.
 */
const PINNED = {
  default_transaction_isolation: "read committed",
  row_security: "on",
  timezone: "UTC",
  datestyle: "ISO, MDY",
  intervalstyle: "postgres",
  standard_conforming_strings: "on",
  bytea_output: "hex",
  extra_float_digits: "1",
  idle_in_transaction_session_timeout: "60s",
  idle_session_timeout: "0",
} as const;

/** Settings that only newer versions of Postgres have. */
const PINNED_IF_KNOWN = { transaction_timeout: "0" } as const;

/** Prepares a new connection; returns the id of its server process. Throws a SessionLostError, or what Postgres reports. */
export async function prepareSession(client: pg.ClientBase, options: SessionOptions): Promise<number> {
  const settings: Readonly<Record<string, string>> = {
    ...PINNED,
    ...PINNED_IF_KNOWN,
    application_name: options.actor,
    "apitoken.actor": options.actor,
    statement_timeout: String(options.statementTimeoutMs),
    lock_timeout: String(options.lockTimeoutMs),
    ...(options.role === undefined ? {} : { role: options.role }),
  };
  const names = Object.keys(settings);
  const optional = Object.keys(PINNED_IF_KNOWN).map((name) => `'${name}'`);
  const set = `case when name in (${optional.join(", ")}) and current_setting(name, true) is null then null
                    else set_config(name, value, false) end`;
  const wanted = await readState(client, set, names, Object.values(settings));
  const found = await readState(client, "current_setting(name, true)", names, names);
  if (found.pid !== wanted.pid) {
    throw new SessionLostError(`server process ${wanted.pid} ran one statement, and ${found.pid} the next`);
  }
  const lost = names.find((_name, place) => found.settings[place] !== wanted.settings[place]);
  if (lost !== undefined) {
    const now = found.settings[names.indexOf(lost)];
    throw new SessionLostError(
      `the setting ${lost} was ${settings[lost]}, and in the next statement ${now ?? "unset"}`,
    );
  }
  if (options.role !== undefined && found.role !== options.role) {
    throw new SessionLostError(`the role was ${options.role}, and in the next statement ${found.role}`);
  }
  if (found.replication !== "origin") throw createReplicationFault(found.replication);
  return wanted.pid;
}

/** Foreign keys and triggers are silent then, those that protect the tokens, too; and only a superuser may set it back. */
function createReplicationFault(setting: string): Fault {
  return new Fault({
    faultCode: "APITOKEN_E_DATABASE_REFUSED",
    object: "DATABASE_URL",
    problem: `its sessions begin with session_replication_role = ${setting}, with which foreign keys and triggers do nothing`,
    remedy: "reset it for the login and for the database: alter role … reset session_replication_role",
  });
}

interface SessionState {
  /** The setting session_replication_role. */
  readonly replication: string;
  readonly pid: number;
  readonly role: string;
  readonly settings: readonly (string | null)[];
}

/** Evaluates an expression for each setting, in their order. */
async function readState(
  client: pg.ClientBase,
  expression: string,
  names: readonly string[],
  values: readonly string[],
): Promise<SessionState> {
  const { rows } = await client.query<SessionState>(
    `select pg_backend_pid() as pid,
            array(select ${expression} from unnest($1::text[], $2::text[]) with ordinality as s (name, value, place)
                  order by place) as settings,
            current_user::text as role, current_setting('session_replication_role') as replication`,
    [names, values],
  );
  const [state] = rows;
  if (state === undefined) throw new Error("the database did not return the session's settings");
  return state;
}

/**
 * Throws a SessionLostError if a pooler lends the server process of `first` to other clients between two statements. For that,
 * another client begins a transaction: it is then given either the process that `first` has used, or `first` another one.
 * `first` need not be prepared; the session that another program will be given must not keep our settings.
 */
export async function requireOwnSession(first: pg.ClientBase, second: pg.Client): Promise<void> {
  second.on("error", () => {}); // the running statement reports it
  try {
    const before = await readPid(first);
    await second.connect();
    // A login may have a limit that ends the transaction while nothing happens in it.
    await second.query("begin; set local idle_in_transaction_session_timeout = 0");
    const other = await readPid(second);
    if (other === before) throw new SessionLostError(`server process ${before} serves two connections at once`);
    const after = await readPid(first);
    if (after !== before) {
      throw new SessionLostError(`server process ${before} ran one statement, and ${after} the next`);
    }
    await second.query("rollback");
  } catch (error) {
    if (sqlState(error) === "53300") return; // no connection is left for the check
    if (error instanceof Error && /statement pooling/i.test(error.message)) {
      throw new SessionLostError("it allows no transactions (statement pooling)", { cause: error });
    }
    throw error;
  } finally {
    await second.end().catch(() => {});
  }
}

async function readPid(client: pg.ClientBase): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return rows[0]?.pid ?? 0;
}
