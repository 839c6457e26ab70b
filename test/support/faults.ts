import { KubeUnreachableError } from "../../src/kube/api-error.ts";
import type { KubeTransport } from "../../src/kube/transport.ts";
import type { Database, Statement } from "../../src/postgres/database.ts";
import { DatabaseUnavailableError } from "../../src/postgres/errors.ts";

/** What happens to a controller at its k-th write: the write is carried out in any case. */
export type Fault =
  /** The process is dead from then on: nothing that it still tries has an effect. */
  | "crash"
  /** The answer is lost: the caller sees an error. */
  | "lost reply";

/** Counts the writes that pass, and plays a fault at one of them. */
export interface WriteTap {
  /** How many writes have passed, in the order in which they were made. */
  readonly writes: readonly string[];
  /** Whether the fault has happened. */
  readonly hasFired: boolean;
  /** Whether it was a crash. */
  readonly isDead: boolean;
  wrapTransport(transport: KubeTransport): KubeTransport;
  wrapDatabase(database: Database): Database;
}

/** Without a fault it only counts. Writes of the Lease do not count: they are not about any ApiToken. */
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
  return /\b(insert into|update|delete from)\b|apitoken\.(issue_token|block_owner|erase_owner)\(/.test(text)
    ? (name ?? text.slice(0, 40))
    : undefined;
}
