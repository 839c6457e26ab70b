/*
 * Keeps a cache in step with the API server for months. It is our own because the official client's informer ends on
 * most errors, knows neither pages nor bookmarks, and reports a recreated object as an update.
 */
import { setTimeout as delay } from "node:timers/promises";
import { isCode } from "./api-error.ts";
import { type Change, createIntake, type Intake } from "./intake.ts";
import type { Fields } from "./json-fields.ts";
import { readPages } from "./list.ts";
import { createHealth, ExpiredError, type HealthOptions, StreamError } from "./reflector-health.ts";
import { isNewer, type Store, type Stored, storeKey } from "./store.ts";
import type { KubeTransport } from "./transport.ts";

export interface ReflectorOptions<T extends Stored> extends HealthOptions {
  readonly transport: KubeTransport;
  /** The collection's namespace, if any: only objects of it are removed from the store. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  /** Several reflectors, one per namespace, may fill one store. */
  readonly store: Store<T>;
  /** Which fields `reduce` reads of an object that is large. */
  readonly fields: Fields;
  /** Reduces an incoming object to what is worth caching. */
  readonly reduce: (raw: unknown) => T;
  readonly onChange: (change: Change<T>) => void;
  readonly pageSize?: number;
  readonly stallMs?: number;
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

/** A shorter watch counts as a failure: a proxy that closes every watch at once must not cause a tight loop. */
const SHORTEST_WATCH_MS = 1_000;

/** After this many broken watches in a row, the list is read again. */
const WATCHES_BEFORE_RELIST = 5;

/** An empty list may be wrong, and no watch would reveal it. It is cheap to read again after this long. */
const EMPTY_LIST_SECONDS = 30;

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
        const listed = await list(options, intake, latest, stop).catch(asExpired);
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

/** An object of a list; `object` is undefined if it cannot be read. */
interface Listed<T> extends Stored {
  readonly object: T | undefined;
}

/**
 * Reads the whole collection, page by page, and updates the store to match. `latest` is the newest version known so
 * far. Returns the list's version and the number of its objects.
 */
async function list<T extends Stored>(
  options: ReflectorOptions<T>,
  intake: Intake<T>,
  latest: string | undefined,
  signal: AbortSignal,
): Promise<{ version: string; count: number }> {
  const { transport, path } = options;
  const seen = new Set<string>();
  let version = "";
  let isRewound = false;
  const readItem = (raw: unknown): Listed<T> | undefined => {
    if (!hasMetadata(raw)) return undefined;
    const { name, namespace, uid, resourceVersion } = raw.metadata;
    const metadata = { name, uid, resourceVersion, ...(namespace === undefined ? {} : { namespace }) };
    return { metadata, object: intake.read(raw) };
  };
  for await (const page of readPages(transport, path, { ...options, readItem, signal })) {
    if (typeof page?.metadata?.resourceVersion !== "string") {
      throw new StreamError("the server answered with something that is not a list");
    }
    version = page.metadata.resourceVersion;
    // A list is older than what was seen before only if the cluster was restored from a backup.
    isRewound = latest !== undefined && isNewer(latest, version);
    for (const item of page.items ?? []) {
      if (item === undefined) throw new StreamError(NO_METADATA);
      seen.add(storeKey(item));
      if (item.object !== undefined) intake.take(item.object, { listedIn: version, isRewound });
    }
  }
  dropMissing(options, intake, seen, isRewound ? undefined : version);
  return { version, count: seen.size };
}

/**
 * Drops objects that the list no longer has. They were deleted while nobody watched, or the list is wrong, which is for
 * the consumer to check. What was written after the list's version stays.
 */
function dropMissing<T extends Stored>(
  { store, namespace }: ReflectorOptions<T>,
  intake: Intake<T>,
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
  intake: Intake<T>,
  from: string,
  seconds: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { transport, path, fields, labelSelector, stallMs = SILENCE_MS } = options;
  const query = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    resourceVersion: from,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(seconds ?? 240 + Math.floor(Math.random() * 240)),
  };
  try {
    for await (const event of transport.watch<WatchEvent>(path, query, { signal, stallMs, fields })) {
      if (event?.type === "ERROR") throw toStreamError(event);
      if (!hasMetadata(event?.object)) throw new StreamError(NO_METADATA);
      const { resourceVersion } = event.object.metadata;
      if (event.type === "DELETED") intake.drop(event.object, resourceVersion);
      else if (event.type !== "BOOKMARK") take(intake, event.object);
      yield resourceVersion;
    }
  } catch (error) {
    asExpired(error);
  }
}

function take<T extends Stored>(intake: Intake<T>, raw: Stored): void {
  const object = intake.read(raw);
  if (object !== undefined) intake.take(object);
}

const NO_METADATA = "the server sent something that is not an object with metadata";

function hasMetadata(object: unknown): object is Stored {
  return typeof (object as Stored | undefined)?.metadata?.resourceVersion === "string";
}

function toStreamError({ object }: WatchEvent): Error {
  if (object?.code === 410) return new ExpiredError("the version to continue from has expired");
  return new StreamError(`the watch reported ${object?.code ?? "an error"} ${object?.reason ?? ""}`);
}

function asExpired(error: unknown): never {
  if (isCode(error, 410)) {
    throw new ExpiredError("the version to continue from has expired", { cause: error });
  }
  throw error;
}
