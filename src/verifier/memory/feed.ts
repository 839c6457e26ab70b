/*
 * Hears of every change in the database. A connection can look healthy for days and hear nothing, so this one sends itself a
 * notification several times a second: Postgres delivers in the order of commits, so once that has arrived, everything that was
 * committed before it was sent has been heard. Of tokens that are issued nothing is notified: each pulse asks for those that the
 * one before could not see.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { blockChangeSchema, EVERYTHING } from "../../postgres/changes.ts";
import type { Connection, Database } from "../../postgres/database.ts";
import { SessionLostError } from "../../postgres/session.ts";
import { createProbe, PROBE_CHANNEL } from "../../postgres/session-probe.ts";
import { readJson } from "../../runtime/json.ts";
import { pause } from "../../runtime/signals.ts";
import type { Prover } from "./prover.ts";

/** What is heard. Times are those of `performance.now()`. */
export interface FeedHandlers {
  /** Listening has begun; earlier changes may have been missed. */
  readonly onListening: () => void;
  /** Whatever was committed before this time has been heard; `databaseNow` was read between it and now. */
  readonly onProof: (sentAtMs: number, databaseNow: Date) => void;
  readonly onTokenChange: (id: string) => void;
  readonly onBlockChange: (owner: string) => void;
  /** Anything may have changed: the whole table was emptied. */
  readonly onEverything: () => void;
  readonly onLost: (error: unknown) => void;
}

export interface FeedOptions {
  readonly db: Database;
  readonly pulseMs: number;
  /** Asks for proofs out of turn. */
  readonly prover: Prover;
  readonly handlers: FeedHandlers;
  readonly signal: AbortSignal;
}

const TOKEN_ID = /^[0-9A-Za-z]{12}$/;
const tokenChangeSchema = z.object({ tokenId: z.string().regex(TOKEN_ID) });

/** When more were issued between two pulses, everything is read instead. */
const MOST_ISSUED = 10_000;

const RECONNECT_LONGEST_MS = 2_000;

/**
 * Listens until the signal, and reconnects whenever the connection is lost. Throws a SessionLostError if notifications never
 * arrive, because a pooler shares the database's sessions.
 */
export async function listenForEverything({ db, pulseMs, prover, handlers, signal }: FeedOptions): Promise<void> {
  let failures = 0;
  let hasListened = false;
  signal.addEventListener("abort", prover.wake, { once: true });
  while (!signal.aborted) {
    try {
      await db.withConnection(async (connection) => {
        const pulse = createPulse(connection, prover, handlers);
        const probe = createProbe(db, connection);
        connection.onNotification((channel, payload) => {
          if (channel === pulse.channel) pulse.onHeard(payload);
          else if (channel === PROBE_CHANNEL) probe.onHeard(payload);
          else readNotification(payload, handlers);
        });
        await connection.query({
          text: `listen apitoken_changed; listen "${pulse.channel}"; set synchronous_commit = off`,
        });
        await probe.requireHearing();
        await probe.requireSameSession();
        await pulse.send();
        failures = 0;
        hasListened = true;
        handlers.onListening();
        while (!signal.aborted) {
          await pulse.send();
          await Promise.race([connection.ended, prover.rest(pulseMs)]);
        }
        await connection.query({ text: "unlisten *; reset synchronous_commit" });
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SessionLostError && !hasListened) throw error;
      handlers.onLost(error);
      failures += 1;
      await pause(Math.min(100 * 2 ** (failures - 1), RECONNECT_LONGEST_MS), signal);
    }
  }
}

/** The server's queue of notifications is or was full, so that changes were not notified. */
class MissedNotificationsError extends Error {
  override readonly name = "MissedNotificationsError";

  constructor() {
    super("the database does not notify of changes at the moment, because its queue of notifications is full");
  }
}

/** A backup was restored over the schema. Nothing is notified of what that has changed. */
class SchemaReplacedError extends Error {
  override readonly name = "SchemaReplacedError";

  constructor() {
    super("the schema was replaced while the verifier was listening, as restoring a backup does");
  }
}

interface PulseRow {
  now: Date;
  pid: number;
  can_notify: boolean;
  missed: string;
  /** A restored schema has other relations under the same names. */
  relation: string;
  /** What this statement sees. */
  snapshot: string;
  /** The tokens that were issued since the last pulse's snapshot: nothing is notified of them. */
  issued: string[];
}

/** Sends notifications to the connection itself, and reports those that arrive. */
function createPulse(connection: Connection, prover: Prover, handlers: FeedHandlers) {
  const channel = `apitoken_pulse_${randomUUID()}`;
  let beat = { id: "", sentAtMs: 0, isHeard: false, databaseNow: undefined as Date | undefined };
  let before: PulseRow | undefined;

  const prove = () => {
    if (beat.isHeard && beat.databaseNow !== undefined) handlers.onProof(beat.sentAtMs, beat.databaseNow);
  };
  return {
    channel,
    onHeard(id: string) {
      if (id !== beat.id) return;
      beat.isHeard = true;
      prove();
    },
    /** Throws if the session or the schema is another one than before, or if notifications may have been missed. */
    async send(): Promise<void> {
      prover.beginPulse();
      beat = { id: randomUUID(), sentAtMs: performance.now(), isHeard: false, databaseNow: undefined };
      const [row] = await connection.query<PulseRow & Record<string, unknown>>({
        name: "pulse",
        text: `select pg_notify($1, $2), clock_timestamp() as now, pg_backend_pid() as pid, apitoken.can_notify(),
                      (last_value + is_called::integer)::text as missed, tableoid::text as relation,
                      pg_current_snapshot()::text as snapshot, array(select apitoken.find_issued($3, $4)) as issued
               from apitoken.missed_notifications`,
        values: [channel, beat.id, before?.snapshot, MOST_ISSUED + 1],
      });
      if (row === undefined) throw new Error("the database did not answer");
      if (before !== undefined && row.pid !== before.pid) {
        throw new SessionLostError(`server process ${before.pid} listens, and ${row.pid} answers now`);
      }
      if (before !== undefined && row.relation !== before.relation) throw new SchemaReplacedError();
      if (!row.can_notify || (before !== undefined && row.missed !== before.missed))
        throw new MissedNotificationsError();
      before = row;
      if (row.issued.length > MOST_ISSUED) handlers.onEverything();
      else for (const id of row.issued) handlers.onTokenChange(id);
      beat.databaseNow = row.now;
      prove();
    },
  };
}

/** Ignores what no trigger of ours has sent: every login of the database may notify. */
function readNotification(payload: string, { onTokenChange, onBlockChange, onEverything }: FeedHandlers): void {
  const json = readJson(payload);
  const change = tokenChangeSchema.safeParse(json).data;
  const block = blockChangeSchema.safeParse(json).data;
  if (payload === EVERYTHING) onEverything();
  else if (change !== undefined) onTokenChange(change.tokenId);
  else if (block !== undefined) onBlockChange(block.blockedOwner);
}
