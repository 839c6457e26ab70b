/*
 * What waits to be looked at during one term, and what is done with each key: ApiTokens, OwnerBlocks, and owners.
 */
import { OwnerBusyError } from "../../postgres/errors.ts";
import type { Logger } from "../../runtime/log.ts";
import { giveBackMemory } from "../../runtime/memory.ts";
import { isReady } from "../../token/status.ts";
import type { ControllerConfig } from "../config.ts";
import type { ControllerMetrics } from "../metrics/metrics.ts";
import { APITOKENS_BY_OWNER, type Caches, keyOf, namespaceOf, ownerOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { classifyFailure } from "../pass/failures.ts";
import { reconcile } from "../pass/reconcile.ts";
import { reconcileBlock } from "../pass/reconcile-block.ts";
import { createQueue, type Pace, type Queue, type Turn } from "../queue/queue.ts";
import { isEnd } from "./ends.ts";
import { findOverLimit } from "./over-limit.ts";

/** The queues of one term. */
export interface Queues {
  readonly tokens: Queue;
  readonly blocks: Queue;
  /** Owners who have one more ApiToken with a token, so that others may be over the limit of their own policy. */
  readonly owners: Queue;
}

export interface QueuesOptions {
  readonly config: Pick<ControllerConfig, "concurrency">;
  readonly caches: Caches;
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
}

/** OwnerBlocks are few, and each gives up its place after a short turn. */
const BLOCKS_AT_ONCE = 2;

/** The owner's gate asks for another pass when the owner is free. Until then each pass would be in vain. */
const TOKENS_OF_STUCK_OWNER: Pace = { firstMs: 1_000, longestMs: 60_000 };

/** A block has to wait for the owner's lock, too, but takes effect soon after it is free. */
const BLOCK_OF_STUCK_OWNER: Pace = { firstMs: 250, longestMs: 1_500 };

/** One look at an owner covers all tokens that were issued for them in this time. */
const OWNER_LOOK_MS = 1_000;

/** After so many passes without a rest in between, as at the start of a large cluster's controller, much memory is free. */
const MANY_PASSES = 5_000;

/** How keys are added to a queue: see `Queue`. */
type How = "add" | "nudge";

/** Requests passes over everything. Blocks come first, so that no token is renewed only to be revoked. */
export function enqueueAll(
  caches: Caches,
  { tokens, blocks }: Pick<Queues, "tokens" | "blocks">,
  how: How = "add",
): void {
  for (const { metadata } of caches.ownerBlocks.values()) blocks[how](metadata.name);
  for (const { metadata } of caches.apiTokens.values()) tokens[how](keyOf(metadata));
}

/** Requests passes over the ApiTokens of an owner. */
export function enqueueOwner(caches: Caches, tokens: Queue, owner: string, how: How = "add"): void {
  for (const { metadata } of caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner)) tokens[how](keyOf(metadata));
}

/** Creates the queues of a term, whose passes use `context`. They begin to work as soon as keys are added. */
export function createQueues(options: QueuesOptions, context: PassContext): Queues {
  const logged = new WeakSet<object>();
  const onFailure = (key: string, error: unknown, retryAfterMs: number) => {
    // Where an owner is stuck, one error is thrown by all passes that would have to wait.
    const isNews = !(error instanceof Error && logged.has(error));
    if (error instanceof Error) logged.add(error);
    countFailure(options, key, error, retryAfterMs, isNews);
  };
  let passes = 0;
  const tokens = createQueue({
    concurrency: options.config.concurrency,
    handle(key, turn) {
      passes += 1;
      return handleToken(options, context, { tokens, owners }, key, turn);
    },
    onRest() {
      if (passes >= MANY_PASSES) giveBackMemory();
      passes = 0;
    },
    onFailure,
    paceOf: (error) => (error instanceof OwnerBusyError ? TOKENS_OF_STUCK_OWNER : undefined),
    isEnd: (key) => isEnd(options.caches, key),
    groupOf: namespaceOf,
  });
  const owners = createQueue({
    concurrency: 1,
    async handle(owner) {
      for (const key of findOverLimit(options.caches, owner)) tokens.add(key);
    },
    onFailure,
  });
  const blocks = createQueue({
    concurrency: BLOCKS_AT_ONCE,
    async handle(name, { failures }) {
      const onRevoked = (tokens: number) => options.metrics.countRevocations("OwnerBlocked", tokens);
      const result = await reconcileBlock(context, name, { failures, onRevoked });
      if (result.requeueAfterMs !== undefined) blocks.addAfter(name, result.requeueAfterMs + 1);
      if (result.changedOwners.length > 0) options.log.info({ block: name }, "owner block applied");
      for (const owner of result.changedOwners) enqueueOwner(options.caches, tokens, owner);
    },
    onFailure,
    paceOf: (error) => (error instanceof OwnerBusyError ? BLOCK_OF_STUCK_OWNER : undefined),
  });
  return { tokens, blocks, owners };
}

async function handleToken(
  { metrics, log }: QueuesOptions,
  context: PassContext,
  { tokens, owners }: Pick<Queues, "tokens" | "owners">,
  key: string,
  turn: Turn,
): Promise<void> {
  const before = context.caches.apiTokens.get(key);
  const endTimer = metrics.reconcileSeconds.startTimer();
  const { isChanged, requeueAfterMs, mustRecheck } = await reconcile(context, key, turn).finally(endTimer);
  metrics.reconciles.inc({ result: isChanged ? "changed" : "converged" });
  const after = context.caches.apiTokens.get(key);
  metrics.countTransition(before?.status, after?.status);
  if (isChanged) log.info({ key }, "reconciled");
  if (requeueAfterMs !== undefined) tokens.addAfter(key, Math.max(requeueAfterMs, 0) + 1);
  if (mustRecheck) tokens.recheck(key);
  if (after === undefined || !isReady(after.status) || isReady(before?.status)) return;
  const owner = ownerOf(after);
  if (owner !== undefined) owners.addAfter(owner, OWNER_LOOK_MS);
}

/** Counts and logs a failure that is retried. One that is not news is logged for debugging only. */
export function countFailure(
  { metrics, log }: QueuesOptions,
  key: string,
  error: unknown,
  retryAfterMs: number,
  isNews: boolean,
): void {
  const result = classifyFailure(error);
  metrics.reconciles.inc({ result });
  metrics.failures.inc({ reason: result });
  const fields = { key, result, retryAfterMs: Math.round(retryAfterMs), err: error };
  if (!isNews || result === "conflict" || result === "not_leading") log.debug(fields, "reconcile will be repeated");
  else log.warn(fields, "reconcile failed; retrying");
}
