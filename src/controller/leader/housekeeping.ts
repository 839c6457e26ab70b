/*
 * Some work has no event that asks for it: partitions of next month, resources that were deleted while no controller
 * ran, and the use of tokens, which is not notified. Housekeeping does it once an hour; only uses, and what is unusual about them, are
 * taken over every half minute.
 */
import { setTimeout as delay } from "node:timers/promises";
import { API_VERSION } from "../../kube/resources/group.ts";
import {
  createEventPartitions,
  dropEmptyPartitions,
  EVENT_MONTHS_AHEAD,
  MONTHLY_TABLES,
} from "../../postgres/event-partitions.ts";
import { foldUses, takeAnomalies } from "../../postgres/inboxes.ts";
import { findBlockNames } from "../../postgres/owner-blocks.ts";
import { findAcceptedResources } from "../../postgres/tokens.ts";
import type { Logger } from "../../runtime/log.ts";
import { describeAnomaly, isAnomalyKind } from "../../token/anomalies.ts";
import { keyOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import type { Queue } from "../queue/queue.ts";
import { enqueueAll } from "./queues.ts";

const HOUSEKEEPING_MS = 3_600_000;
const HOUSEKEEPING_RETRY_MS = 5_000;
/** Uses count as soon as they are noted; taking them over keeps their table small. */
const USES_MS = 30_000;

export interface HousekeepingOptions {
  readonly context: PassContext;
  /** Makes sure that the database still accepts this leader's writes; see `Term`. */
  readonly confirmFence: () => Promise<void>;
  readonly tokens: Queue;
  readonly blocks: Queue;
  /** The namespaces that are watched; all if empty. */
  readonly namespaces: readonly string[];
  readonly log: Logger;
}

export interface Housekeeping {
  /** Starts over now, because the database may have been replaced by another or by a backup. */
  hurry(): void;
  /** Resolves after the signal, when nothing is in progress any more. */
  readonly ended: Promise<unknown>;
}

/** Runs at the beginning of a term and then every hour, until the signal. A failed run is repeated after seconds. */
export function keepHouse(options: HousekeepingOptions, signal: AbortSignal): Housekeeping {
  let hurry = new AbortController();
  const work = async () => {
    while (!signal.aborted) {
      hurry = new AbortController();
      const isDone = await tidy(options).then(
        () => true,
        (error: unknown) => {
          options.log.warn({ err: error }, "housekeeping failed; retrying");
          return false;
        },
      );
      const wake = AbortSignal.any([signal, hurry.signal]);
      await delay(isDone ? HOUSEKEEPING_MS : HOUSEKEEPING_RETRY_MS, undefined, { signal: wake }).catch(() => {});
    }
  };
  const inboxes = [takeOverUses(options, signal), announceAnomalies(options, signal)];
  return { hurry: () => hurry.abort(), ended: Promise.all([work(), ...inboxes]) };
}

/** Takes over what verifiers have noted about uses, until the signal. Uses that statuses should name are looked at. */
async function takeOverUses({ context, tokens, log }: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  const { db, clusterId, caches } = context;
  while (!signal.aborted) {
    const { taken, news } = await foldUses(db, clusterId).catch((error: unknown) => {
      log.warn({ err: error }, "uses of tokens cannot be taken over; retrying");
      return { taken: 0, news: [] };
    });
    for (const key of news.map(keyOf)) {
      if (caches.apiTokens.get(key) !== undefined) tokens.add(key);
    }
    if (taken === 0) await delay(USES_MS, undefined, { signal }).catch(() => {});
  }
}

/** Makes an Event of each unusual use that a verifier has noticed, until the signal. Nothing else is done about it. */
async function announceAnomalies({ context, log }: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  const { db, clusterId, caches, events } = context;
  while (!signal.aborted) {
    const anomalies = await takeAnomalies(db, clusterId).catch((error: unknown) => {
      log.warn({ err: error }, "unusual uses cannot be taken over; retrying");
      return [];
    });
    for (const { namespace, name, uid, kind, tokenId, address } of anomalies) {
      if (caches.apiTokens.get(keyOf({ namespace, name }))?.metadata.uid !== uid || !isAnomalyKind(kind)) continue;
      events.record(
        { apiVersion: API_VERSION, kind: "ApiToken", namespace, name, uid },
        describeAnomaly(kind, tokenId, address),
      );
    }
    if (anomalies.length === 0) await delay(USES_MS, undefined, { signal }).catch(() => {});
  }
}

/** Drops what the cleanup has emptied. Nobody waits for that, so a failure must not keep housekeeping from its other work. */
async function dropPartitions({ context, log }: HousekeepingOptions): Promise<void> {
  for (const table of MONTHLY_TABLES) {
    try {
      const partitions = await dropEmptyPartitions(context.db, table);
      if (partitions.length > 0) log.info({ partitions }, "empty partitions dropped");
    } catch (error) {
      log.warn({ err: error, table }, "empty partitions cannot be dropped; retrying in an hour");
    }
  }
}

/**
 * Creates the audit trail's partitions ahead of time, because without one nothing could be issued. Then queues what was
 * deleted while no controller watched: it has live rows or a block in the database, but is in no cache. Queues all
 * OwnerBlocks and ApiTokens as well, because the database notifies neither the use of a token nor every change that is
 * made with SQL.
 */
async function tidy(options: HousekeepingOptions): Promise<void> {
  const { context, confirmFence, tokens, blocks, namespaces, log } = options;
  const { db, clusterId, caches } = context;
  await confirmFence();
  const partitions = await createEventPartitions(db, EVENT_MONTHS_AHEAD).then(
    (created) => ({ created }),
    (error: unknown) => ({ created: [], error }),
  );
  if (partitions.created.length > 0) log.info({ partitions: partitions.created }, "partitions created");
  for (const name of await findBlockNames(db, clusterId)) {
    if (caches.ownerBlocks.get(name) === undefined) blocks.add(name);
  }
  enqueueAll(caches, { tokens, blocks });
  for (const resource of await findAcceptedResources(db, clusterId)) {
    const isOurs = namespaces.length === 0 || namespaces.includes(resource.namespace);
    if (isOurs && caches.apiTokens.get(keyOf(resource)) === undefined) tokens.add(keyOf(resource));
  }
  await dropPartitions(options);
  // Last, so that whoever keeps partitions from being created does not keep tokens alive as well.
  if ("error" in partitions) throw partitions.error;
}
