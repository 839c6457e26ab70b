/*
 * A pooler in transaction mode answers every statement of a connection that listens, and drops its notifications. Nobody would
 * notice, so the connection sends one to itself.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Connection, Queryable } from "./database.ts";
import { SessionLostError } from "./session.ts";

/** The channel of the probe's own notification. */
export const PROBE_CHANNEL = "apitoken_probe";
const PROBE_MS = 5_000;

/** Checks of a connection that listens. They throw a SessionLostError. */
export interface SessionProbe {
  onHeard(payload: string): void;
  /** Checks that the connection hears what another one sends. */
  requireHearing(): Promise<void>;
  /** Checks that it still has the session that it began with; also shows that the server answers. */
  requireSameSession(): Promise<void>;
}

/** Creates the checks of one connection. `db` sends the notification. */
export function createProbe(db: Queryable, connection: Connection): SessionProbe {
  const secret = randomUUID();
  const heard = Promise.withResolvers<true>();
  let sessionPid: number | undefined;
  const requireSameSession = async () => {
    const [row] = await connection.query<{ pid: number }>({ text: "select pg_backend_pid() as pid" });
    sessionPid ??= row?.pid;
    if (row?.pid === sessionPid) return;
    throw new SessionLostError(
      `server process ${sessionPid} was asked to listen, and ${row?.pid} serves the connection now`,
    );
  };
  return {
    onHeard(payload: string): void {
      if (payload === secret) heard.resolve(true);
    },
    requireSameSession,
    async requireHearing(): Promise<void> {
      await connection.query({ text: `listen ${PROBE_CHANNEL}` });
      await requireSameSession();
      await db.query({ text: "select pg_notify($1, $2)", values: [PROBE_CHANNEL, secret] });
      if (await Promise.race([heard.promise, delay(PROBE_MS, false, { ref: false })])) return;
      await requireSameSession(); // notifications that have arrived are read before its answer
      if (!(await Promise.race([heard.promise, Promise.resolve(false)]))) {
        throw new SessionLostError("a notification did not arrive");
      }
    },
  };
}
