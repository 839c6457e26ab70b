import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import type { Database } from "./database.ts";

const changeSchema = z.object({
  tokenId: z.string(),
  clusterId: z.string(),
  namespace: z.string(),
  name: z.string(),
  owner: z.string(),
});

/** A live token was changed, revoked or deleted, by whomever. Sent by the trigger on apitoken.tokens. */
export type TokenChange = z.infer<typeof changeSchema>;

export interface ChangeHandlers {
  readonly onChange: (change: TokenChange) => void;
  /** The connection stands: changes before this moment may have been missed. */
  readonly onConnected: () => void;
  readonly onLost: (error: unknown) => void;
}

/** What the trigger sends when so much has changed that it does not say what. */
const EVERYTHING = "everything";

/** A connection that is silent is asked for a sign of life this often: a dead peer would else go unnoticed for long. */
const HEARTBEAT_MS = 5_000;
const RECONNECT_LONGEST_MS = 2_000;

/**
 * Listens for changes of tokens until the signal, on a connection of its own, and connects again whenever that is lost.
 * So it also tells when the database is back.
 */
export async function listenForChanges(db: Database, handlers: ChangeHandlers, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await db.withConnection(async (connection) => {
        connection.onNotification((_channel, payload) => {
          const change = readChange(payload);
          if (change !== undefined) handlers.onChange(change);
          else if (payload === EVERYTHING) handlers.onConnected();
        });
        await connection.query({ text: "listen apitoken_changed" });
        failures = 0;
        handlers.onConnected();
        while (!signal.aborted) {
          await Promise.race([connection.ended, pause(HEARTBEAT_MS, signal)]);
          if (!signal.aborted) await connection.query({ text: "select 1" });
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

/** Undefined for what our trigger has not sent: every login of the database may notify. */
function readChange(payload: string): TokenChange | undefined {
  try {
    return changeSchema.safeParse(JSON.parse(payload)).data;
  } catch {
    return undefined;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
