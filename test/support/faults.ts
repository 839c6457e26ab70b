/*
 * A controller can crash between any two writes. With this tap a test can place a crash, or a lost answer, after each
 * one in turn, and then check that the next controller heals it.
 */
import { KubeUnreachableError } from "../../src/kube/api-error.ts";
import type { KubeTransport } from "../../src/kube/transport.ts";
import type { Database, Statement } from "../../src/postgres/database.ts";
import { DatabaseUnavailableError } from "../../src/postgres/errors.ts";

/** What happens to a controller after its k-th write, which is carried out in any case. */
export type Fault =
  /** From then on the process is dead: nothing that it still tries has any effect. */
  | "crash"
  /** The answer is lost: the caller sees an error. */
  | "lost reply";

/** Counts writes, and plays a fault at one of them. */
export interface WriteTap {
  /** The writes so far, in order. */
  readonly writes: readonly string[];
  /** Whether the fault has happened. */
  readonly hasFired: boolean;
  /** Whether the fault was a crash. */
  readonly isDead: boolean;
  wrapTransport(transport: KubeTransport): KubeTransport;
  wrapDatabase(database: Database): Database;
}

/** Creates a tap; without `at` it only counts. Writes to the Lease do not count, as they concern no ApiToken. */
export function createWriteTap(at?: { fault: Fault; write: number }): WriteTap {
  const writes: string[] = [];
  let isDead = false;
  let hasFired = false;

  const pass = async <T>(name: string | undefined, send: () => Promise<T>, lost: () => Error): Promise<T> => {
    if (isDead) throw lost();
    const result = await send();
    if (isDead) throw lost();
    if (name === undefined) return result;
    writes.push(name);
    if (writes.length !== at?.write) return result;
    hasFired = true;
    isDead = at.fault === "crash";
    throw lost();
  };

  return {
    writes,
    get hasFired() {
      return hasFired;
    },
    get isDead() {
      return isDead;
    },
    wrapTransport: (transport) => ({
      ...transport,
      request: (method, path, options) => {
        const isWrite = method !== "GET" && !path.includes("/leases");
        const lost = () => new KubeUnreachableError(`${method} ${path}: the test has cut the line`);
        const send = () => transport.request<never>(method, path, options);
        return pass(isWrite ? `${method} ${path}` : undefined, send, lost);
      },
    }),
    wrapDatabase: (database) => ({
      ...database,
      get usage() {
        return database.usage;
      },
      query: (statement) => {
        const lost = () => new DatabaseUnavailableError("the test has cut the line");
        return pass(nameOfWrite(statement), () => database.query<never>(statement), lost);
      },
    }),
  };
}

function nameOfWrite({ name, text }: Statement): string | undefined {
  return /\b(insert into|update|delete from)\b|apitoken\.(issue_token|replace_token|take_over|record_block|end_blocked_tokens|erase_blocked_owner|carry_out_ends)\(/.test(
    text,
  )
    ? (name ?? text.slice(0, 40))
    : undefined;
}
