/*
 * Keeps a cache in step with the API server for months. It is our own because the official client's informer ends on
 * most errors, knows neither pages nor bookmarks, and reports a recreated object as an update.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../runtime/log.ts";
import { KubeApiError, KubeUnreachableError } from "./api-error.ts";
import { type Change, createIntake, type Intake } from "./intake.ts";
import { BrokenStreamError, SilentStreamError } from "./json-lines.ts";
import { isNewer, type Store, type Stored, storeKey } from "./store.ts";
import type { KubeTransport } from "./transport.ts";

export interface ReflectorOptions<T extends Stored> {
  readonly transport: KubeTransport;
  /** The collection, such as /apis/apitoken.dev/v1alpha1/apitokens. */
  readonly path: string;
  /** The collection's namespace, if any: only objects of it are removed from the store. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Several reflectors, one per namespace, may fill one store. */
  readonly store: Store<T>;
  /** Reduces an incoming object to what is worth caching. */
  readonly reduce: (raw: unknown) => T;
  readonly onChange: (change: Change<T>) => void;
  readonly log: Logger;
  /** Called after every failed list or broken watch, with a short reason: an HTTP status, "expired", "silent" … */
  readonly onRestart?: (reason: string) => void;
  readonly pageSize?: number;
  readonly stallMs?: number;
  readonly backoff?: { readonly firstMs: number; readonly longestMs: number };
}

export interface Reflector {
  /** Resolves when the first list is complete. */
  readonly synced: Promise<void>;
  stop(): Promise<void>;
}

interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Stored & { readonly code?: number; readonly reason?: string };
}

interface ListPage {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: Stored[] | null;
}

/** The server no longer has the version that a watch should continue from: only a new list helps. */
class ExpiredError extends Error {
  override readonly name = "ExpiredError";
}

/** The server reported an error within the stream, closed it at once, or sent something unexpected. */
class StreamError extends Error {
  override readonly name = "StreamError";
}

/** A shorter watch counts as a failure: a proxy that closes every watch at once must not cause a tight loop. */
const SHORTEST_WATCH_MS = 1_000;

/** After this many broken watches in a row, the list is read again. */
const WATCHES_BEFORE_RELIST = 5;

/** An empty list may be wrong, and no watch would reveal it. It is cheap to read again after this long. */
const EMPTY_LIST_SECONDS = 30;

const BACKOFF = { firstMs: 100, longestMs: 30_000 };

/**
 * Keeps a store identical to a collection of the API server until it is stopped: a list in pages, then watches from
 * there. A broken watch is continued from the last version seen. Never throws.
 */
export function startReflector<T extends Stored>(options: ReflectorOptions<T>): Reflector {
  const stopping = new AbortController();
  const synced = Promise.withResolvers<void>();
  const finished = run(options, stopping.signal, synced.resolve);
  return {
    synced: synced.promise,
    async stop() {
      stopping.abort();
      await finished;
    },
  };
}

async function run<T extends Stored>(options: ReflectorOptions<T>, stop: AbortSignal, onSynced: () => void) {
  const intake = createIntake(options);
  const health = createHealth(options);
  let latest: string | undefined;
  let mustList = true;
  let isEmpty = false;
  while (!stop.aborted) {
    try {
      if (latest === undefined || mustList) {
        const listed = await list(options, intake, latest, stop);
        latest = listed.version;
        isEmpty = listed.count === 0;
        mustList = false;
        onSynced();
      }
      const startedAtMs = performance.now();
      for await (const version of watch(options, intake, latest, isEmpty ? EMPTY_LIST_SECONDS : undefined, stop)) {
        latest = version;
        health.onProgress();
      }
      mustList = isEmpty;
      if (performance.now() - startedAtMs < SHORTEST_WATCH_MS) throw new StreamError("the watch was closed at once");
      health.onProgress();
    } catch (error) {
      if (stop.aborted) return;
      const waitMs = health.onFailure(error);
      mustList ||= error instanceof ExpiredError || health.failures % WATCHES_BEFORE_RELIST === 0;
      await delay(waitMs, undefined, { signal: stop }).catch(() => {});
    }
  }
}

/** Counts failures in a row, and logs them once for each new reason. */
function createHealth<T extends Stored>({ log, path, onRestart, backoff = BACKOFF }: ReflectorOptions<T>) {
  let failures = 0;
  let reported: string | undefined;
  return {
    get failures() {
      return failures;
    },
    onProgress() {
      if (reported !== undefined) log.info({ path }, "watch restored");
      failures = 0;
      reported = undefined;
    },
    /** Returns how long to wait before the next try. */
    onFailure(error: unknown): number {
      const reason = nameFailure(error);
      failures += 1;
      if (USUAL.includes(reason)) log.debug({ path, reason }, "watching again");
      else if (reason !== reported) {
        log.warn({ path, reason, err: error }, "list or watch failed; retrying");
        reported = reason;
      }
      try {
        onRestart?.(reason);
      } catch (hookError) {
        log.error({ path, err: hookError }, "restart handler failed");
      }
      const waitMs = Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.longestMs) * (0.5 + Math.random() / 2);
      return Math.max(waitMs, error instanceof KubeApiError ? (error.retryAfterMs ?? 0) : 0);
    },
  };
}

/** Healthy servers cause these too: they drop old versions, and may have nothing to report for a long time. */
const USUAL = ["expired", "silent"];

function nameFailure(error: unknown): string {
  if (error instanceof KubeApiError) return String(error.code);
  if (error instanceof ExpiredError) return "expired";
  if (error instanceof KubeUnreachableError) {
    if (error.cause instanceof SilentStreamError) return "silent";
    return error.cause instanceof BrokenStreamError ? "broken_stream" : "unreachable";
  }
  return error instanceof StreamError ? "server_error" : "failed";
}

/**
 * Reads the whole collection, page by page, and updates the store to match. `latest` is the newest version known so
 * far. Returns the list's version and the number of its objects.
 */
async function list<T extends Stored>(
  options: ReflectorOptions<T>,
  intake: Intake,
  latest: string | undefined,
  signal: AbortSignal,
): Promise<{ version: string; count: number }> {
  const { transport, path, pageSize = 500, labelSelector } = options;
  const selector = labelSelector === undefined ? {} : { labelSelector };
  const seen = new Set<string>();
  let token: string | undefined;
  for (;;) {
    const query = { ...selector, limit: String(pageSize), ...(token === undefined ? {} : { continue: token }) };
    const page = await transport.request<ListPage>("GET", path, { query, signal, timeoutMs: 60_000 }).catch(asExpired);
    const version = page?.metadata?.resourceVersion;
    if (typeof version !== "string") throw new StreamError("the server answered with something that is not a list");
    // A list is older than what was seen before only if the cluster was restored from a backup.
    const isRewound = latest !== undefined && isNewer(latest, version);
    for (const item of page.items ?? []) {
      seen.add(storeKey(requireMetadata(item)));
      intake.take(item, { listedIn: version, isRewound });
    }
    token = page.metadata.continue;
    if (token) continue;
    dropMissing(options, intake, seen, isRewound ? undefined : version);
    return { version, count: seen.size };
  }
}

/**
 * Drops objects that the list no longer has. They were deleted while nobody watched, or the list is wrong, which is for
 * the consumer to check. What was written after the list's version stays.
 */
function dropMissing<T extends Stored>(
  { store, namespace }: ReflectorOptions<T>,
  intake: Intake,
  seen: ReadonlySet<string>,
  version: string | undefined,
): void {
  for (const object of [...store.values()]) {
    const isOurs = namespace === undefined || object.metadata.namespace === namespace;
    if (isOurs && !seen.has(storeKey(object))) intake.drop(object, version);
  }
}

/** The server sends bookmarks about once a minute without promising any; after more than two missed, watch again. */
const SILENCE_MS = 150_000;

/** Watches from version `from`, for `seconds` or some minutes; yields the version that each event brought. */
async function* watch<T extends Stored>(
  options: ReflectorOptions<T>,
  intake: Intake,
  from: string,
  seconds: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { transport, path, labelSelector, stallMs = SILENCE_MS } = options;
  const query = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    resourceVersion: from,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(seconds ?? 240 + Math.floor(Math.random() * 240)),
  };
  try {
    for await (const event of transport.watch<WatchEvent>(path, query, { signal, stallMs })) {
      if (event?.type === "ERROR") throw toStreamError(event);
      const { resourceVersion } = requireMetadata(event?.object).metadata;
      if (event.type === "DELETED") intake.drop(event.object, resourceVersion);
      else if (event.type !== "BOOKMARK") intake.take(event.object);
      yield resourceVersion;
    }
  } catch (error) {
    asExpired(error);
  }
}

function requireMetadata(object: Stored | undefined): Stored {
  if (typeof object?.metadata?.resourceVersion === "string") return object;
  throw new StreamError("the server sent something that is not an object with metadata");
}

function toStreamError({ object }: WatchEvent): Error {
  if (object?.code === 410) return new ExpiredError("the version to continue from has expired");
  return new StreamError(`the watch reported ${object?.code ?? "an error"} ${object?.reason ?? ""}`);
}

function asExpired(error: unknown): never {
  if (error instanceof KubeApiError && error.code === 410) {
    throw new ExpiredError("the version to continue from has expired", { cause: error });
  }
  throw error;
}
