/*
 * Changes that people make with SQL must reach the controller as fast as changes of its resources do, so it listens to the
 * database as well.
 */
import { z } from "zod";
import { readJson } from "../runtime/json.ts";
import { pause } from "../runtime/signals.ts";
import type { Database } from "./database.ts";
import { createNotificationGate } from "./notification-gate.ts";
import { watchNotifyQueue } from "./notify-queue.ts";
import { createProbe, PROBE_CHANNEL } from "./session-probe.ts";

const changeSchema = z.object({
  tokenId: z.string(),
  clusterId: z.string(),
  // What Kubernetes calls a name: anything else would be kept in the queue for nothing.
  namespace: z.string().regex(/^[a-z0-9-]{1,63}$/),
  name: z.string().regex(/^[a-z0-9.-]{1,253}$/),
  owner: z.string(),
});

/** Sent by a trigger on apitoken.tokens when anybody changes, revokes or deletes a live token. */
export type TokenChange = z.infer<typeof changeSchema>;

/** Sent by a trigger on apitoken.blocked_owners when a block is recorded, changed or lifted. */
export const blockChangeSchema = z.object({ blockedOwner: z.string() });

export interface ChangeHandlers {
  readonly onChange: (change: TokenChange) => void;
  /** A block on this owner has changed, in this cluster or in another one that shares the database. */
  readonly onBlockChange: (owner: string) => void;
  /** More has changed than is worth reporting one by one. Called at most once a second. */
  readonly onEverything: () => void;
  /** Listening has begun; earlier changes may have been missed. */
  readonly onConnected: () => void;
  readonly onLost: (error: unknown) => void;
  /** No change is notified, and everything is looked at instead; see `QueueWatch.look`. Called once a minute. */
  readonly onQueueFull: (suspects: readonly string[]) => void;
}

/** Sent instead of single changes when the whole table was truncated. */
export const EVERYTHING = "everything";

/** How often a silent connection is probed: otherwise a dead peer would go unnoticed for a long time. */
const HEARTBEAT_MS = 5_000;
/** The same while the server's queue of notifications is full, and everything is looked at instead. */
const LOOK_MS = 1_000;
const RECONNECT_LONGEST_MS = 2_000;

/**
 * Listens for changes of tokens on a connection of its own until the signal, and reconnects whenever the connection is lost,
 * so `onConnected` also reports that the database is back.
 */
export async function listenForChanges(db: Database, handlers: ChangeHandlers, signal: AbortSignal): Promise<void> {
  const gate = createNotificationGate({
    onNotification: (payload) => {
      const { change, blockedOwner } = readChange(payload);
      if (change !== undefined) handlers.onChange(change);
      else if (blockedOwner !== undefined) handlers.onBlockChange(blockedOwner);
      else if (payload === EVERYTHING) gate.sweep();
    },
    onEverything: handlers.onEverything,
  });
  signal.addEventListener("abort", gate.close, { once: true });
  let failures = 0;
  while (!signal.aborted) {
    try {
      await db.withConnection(async (connection) => {
        const probe = createProbe(db, connection);
        connection.onNotification((channel, payload) => {
          if (channel === PROBE_CHANNEL) probe.onHeard(payload);
          else gate.take(payload);
        });
        await connection.query({ text: "listen apitoken_changed" });
        const queue = watchNotifyQueue(connection, handlers.onQueueFull);
        let isNotified = await queue.look();
        if (isNotified) await probe.requireHearing();
        failures = 0;
        handlers.onConnected();
        while (!signal.aborted) {
          await Promise.race([connection.ended, pause(isNotified ? HEARTBEAT_MS : LOOK_MS, signal)]);
          if (signal.aborted) break;
          await probe.requireSameSession();
          const wasNotified = isNotified;
          isNotified = await queue.look();
          if (!(wasNotified && isNotified)) gate.sweep();
        }
        await connection.query({ text: "unlisten *" });
      });
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      handlers.onLost(error);
      await pause(Math.min(100 * 2 ** (failures - 1), RECONNECT_LONGEST_MS), signal);
    }
  }
}

/** Nothing if no trigger of ours has sent it: every login of the database may notify. */
function readChange(payload: string): { readonly change?: TokenChange; readonly blockedOwner?: string } {
  const json = readJson(payload);
  const change = changeSchema.safeParse(json).data;
  return change === undefined ? { ...blockChangeSchema.safeParse(json).data } : { change };
}
