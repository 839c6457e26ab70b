import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../runtime/log.ts";
import { KubeApiError } from "./api-error.ts";
import { isNewer, type Store, type Stored, storeKey } from "./store.ts";
import type { KubeTransport } from "./transport.ts";

/** A change of an object, as seen. "deleted" may be wrong (an empty list, say): read live before anything is ended. */
export interface Change<T> {
  readonly type: "added" | "updated" | "deleted";
  readonly object: T;
}

export interface ReflectorOptions<T extends Stored> {
  readonly transport: KubeTransport;
  /** The collection, such as /apis/apitoken.dev/v1alpha1/apitokens. */
  readonly path: string;
  /** The collection's namespace, when it has one: then only objects of it are taken out of the store. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Several reflectors, one for each namespace, may fill one store. */
  readonly store: Store<T>;
  /** Takes from an object, as it comes in, what is worth keeping. */
  readonly reduce: (raw: unknown) => T;
  readonly onChange: (change: Change<T>) => void;
  readonly log: Logger;
  /** Told when the watch is broken off, with the reason's name. */
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
  readonly object: {
    readonly metadata: { readonly resourceVersion: string };
    readonly code?: number;
    readonly reason?: string;
  };
}

interface ListPage {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: unknown[];
}

/** The server has forgotten the version that we ask to go on from: only a list helps. */
class ExpiredError extends Error {
  override readonly name = "ExpiredError";
}

/** The server reported an error within the stream. */
class StreamError extends Error {
  override readonly name = "StreamError";
}

/** A server, or something in between, that closes every watch at once must not be asked in a tight loop. */
const SHORTEST_WATCH_MS = 1_000;

/** After so many broken watches in a row the list is read anew. */
const WATCHES_BEFORE_RELIST = 5;

/**
 * Keeps a store as a collection of the API server is: a list in pages, then a watch from there, for as long as nobody
 * stops it. A broken watch goes on from the last version seen; it never ends by itself and never throws.
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
  const { log, path, backoff = { firstMs: 100, longestMs: 30_000 } } = options;
  let version: string | undefined;
  let failures = 0;
  while (!stop.aborted) {
    try {
      if (version === undefined) {
        version = await list(options, stop);
        onSynced();
      }
      const startedAtMs = performance.now();
      for await (const seen of watch(options, version, stop)) {
        version = seen;
        if (failures > 0) log.info({ path }, "watch restored");
        failures = 0;
      }
      if (performance.now() - startedAtMs < SHORTEST_WATCH_MS) throw new StreamError("the watch was closed at once");
      failures = 0;
    } catch (error) {
      if (stop.aborted) return;
      failures += 1;
      options.onRestart?.(error instanceof Error ? error.name : "Unknown");
      if (failures === 1) log.warn({ path, err: error }, "watch broken; trying again");
      const mustList = error instanceof ExpiredError || failures % WATCHES_BEFORE_RELIST === 0;
      if (mustList) version = undefined;
      const waitMs = Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.longestMs) * (0.5 + Math.random() / 2);
      await delay(error instanceof ExpiredError && failures === 1 ? 0 : waitMs, undefined, { signal: stop }).catch(
        () => {},
      );
    }
  }
}

/** Reads the whole collection, page by page, and makes the store's part of it the same. Returns the list's version. */
async function list<T extends Stored>(options: ReflectorOptions<T>, signal: AbortSignal): Promise<string> {
  const { transport, path, store, pageSize = 500, labelSelector } = options;
  const selector = labelSelector === undefined ? {} : { labelSelector };
  const seen = new Set<string>();
  let token: string | undefined;
  for (;;) {
    const query = { ...selector, limit: String(pageSize), ...(token === undefined ? {} : { continue: token }) };
    const page = await transport.request<ListPage>("GET", path, { query, signal, timeoutMs: 60_000 }).catch(asExpired);
    for (const item of page.items) {
      const object = accept(options, item);
      if (object !== undefined) seen.add(storeKey(object));
    }
    token = page.metadata.continue;
    if (!token) {
      dropMissing(options, store, seen);
      return page.metadata.resourceVersion;
    }
  }
}

/** Objects that the list no longer has were deleted while nobody watched, or the list is wrong: the consumer looks. */
function dropMissing<T extends Stored>(options: ReflectorOptions<T>, store: Store<T>, seen: ReadonlySet<string>): void {
  for (const object of [...store.values()]) {
    const isOurs = options.namespace === undefined || object.metadata.namespace === options.namespace;
    if (isOurs && !seen.has(storeKey(object))) drop(options, object);
  }
}

/** Watches from a version on; yields the version that each event brought. */
async function* watch<T extends Stored>(options: ReflectorOptions<T>, from: string, signal: AbortSignal) {
  const { transport, path, labelSelector, stallMs = 90_000 } = options;
  const query = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    resourceVersion: from,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(240 + Math.floor(Math.random() * 240)),
  };
  try {
    for await (const event of transport.watch<WatchEvent>(path, query, { signal, stallMs })) {
      if (event.type === "ERROR") throw toStreamError(event);
      if (event.type === "DELETED") {
        drop(options, reduceSafely(options, event.object), event.object.metadata.resourceVersion);
      } else if (event.type !== "BOOKMARK") accept(options, event.object);
      yield event.object.metadata.resourceVersion;
    }
  } catch (error) {
    asExpired(error);
  }
}

function toStreamError({ object }: WatchEvent): Error {
  if (object.code === 410) return new ExpiredError("the version to go on from has expired");
  return new StreamError(`the watch reported ${object.code ?? "an error"} ${object.reason ?? ""}`);
}

function asExpired(error: unknown): never {
  if (error instanceof KubeApiError && error.code === 410) {
    throw new ExpiredError("the version to go on from has expired", { cause: error });
  }
  throw error;
}

/** Takes an object in. One of another uid under the same name is another object: the old one was deleted. */
function accept<T extends Stored>(options: ReflectorOptions<T>, raw: unknown): T | undefined {
  const object = reduceSafely(options, raw);
  if (object === undefined) return undefined;
  const before = options.store.get(storeKey(object));
  const isOther = before !== undefined && before.metadata.uid !== object.metadata.uid;
  if (isOther && isNewer(object.metadata.resourceVersion, before.metadata.resourceVersion)) drop(options, before);
  if (options.store.upsert(object)) {
    notify(options, { type: before === undefined || isOther ? "added" : "updated", object });
  }
  return object;
}

function drop<T extends Stored>(options: ReflectorOptions<T>, object: T | undefined, deletedIn?: string): void {
  if (object === undefined) return;
  const removed = options.store.remove(storeKey(object), object.metadata.uid, deletedIn);
  if (removed !== undefined) notify(options, { type: "deleted", object });
}

/** One object that cannot be read, or one handler that throws, must not stop the others. */
function reduceSafely<T extends Stored>({ reduce, log, path }: ReflectorOptions<T>, raw: unknown): T | undefined {
  try {
    return reduce(raw);
  } catch (error) {
    log.error({ path, err: error }, "object cannot be read");
    return undefined;
  }
}

function notify<T extends Stored>({ onChange, log, path }: ReflectorOptions<T>, change: Change<T>): void {
  try {
    onChange(change);
  } catch (error) {
    log.error({ path, err: error }, "change handler failed");
  }
}
