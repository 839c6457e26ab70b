/*
 * Events inform people, but the work must never wait for them or fail because of them. So they are written in the
 * background, repetitions are suppressed, and what cannot be written is dropped and counted.
 */
import { createHash, randomBytes } from "node:crypto";
import { StringDecoder } from "node:string_decoder";
import type { Logger } from "../runtime/log.ts";
import type { KubeTransport } from "./transport.ts";

/** The object that an Event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Undefined for an object that is in no namespace; its Events are in the namespace default. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  /** What was done or attempted. */
  readonly action: string;
  readonly message: string;
}

/** Writes Events without ever delaying the work that they are about. */
export interface EventRecorder {
  record(subject: EventSubject, note: EventNote): void;
  /** Resolves when no Event is waiting to be written. */
  flush(): Promise<void>;
}

const QUEUE_LIMIT = 1_000;
const CONCURRENCY = 4;
/** The same Event about the same object is not written again within this time. */
const REPEAT_MS = 10 * 60_000;
/** How many Events are remembered for that. */
const REMEMBERED = 10_000;
/** The API server's limit for an Event's note, in bytes. */
const NOTE_LIMIT = 1_024;
/** How much of the object's name is used in the Event's name, which has a limit of 253 characters. */
const NAME_LIMIT = 200;

/** Creates a recorder of events.k8s.io/v1 Events. What the API server rejects or the queue cannot hold is dropped. */
export function createEventRecorder(options: {
  readonly transport: KubeTransport;
  /** The controller's name, such as apitoken.dev/controller. */
  readonly controller: string;
  /** The replica's name. */
  readonly instance: string;
  readonly log: Logger;
  readonly onDropped?: () => void;
}): EventRecorder {
  const { transport, controller, instance, log, onDropped } = options;
  const waiting: { key: string; event: ReturnType<typeof buildEvent> }[] = [];
  const lastAtMs = new Map<string, number>();
  const nextTime = createEventClock();
  let writers = 0;
  let onIdle: (() => void)[] = [];

  const isRepeated = (key: string): boolean => {
    const nowMs = performance.now();
    const isRepeat = nowMs - (lastAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS;
    if (!isRepeat) {
      lastAtMs.delete(key);
      lastAtMs.set(key, nowMs);
      if (lastAtMs.size > REMEMBERED) lastAtMs.delete(lastAtMs.keys().next().value as string);
    }
    return isRepeat;
  };

  /** Forgets a dropped Event, so that it is written the next time it occurs. */
  const drop = (key: string) => {
    lastAtMs.delete(key);
    onDropped?.();
  };

  const write = async () => {
    writers += 1;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { key, event } = next;
      try {
        await transport.request("POST", `/apis/events.k8s.io/v1/namespaces/${event.metadata.namespace}/events`, {
          body: event,
        });
      } catch (error) {
        drop(key);
        log.debug({ err: error }, "event dropped");
      }
    }
    writers -= 1;
    if (writers === 0) {
      for (const resolve of onIdle) resolve();
      onIdle = [];
    }
  };

  return {
    record(subject, note) {
      const key = createHash("sha256").update(`${subject.uid}/${note.reason}/${note.message}`).digest("base64");
      if (isRepeated(key)) return;
      if (waiting.length >= QUEUE_LIMIT) {
        drop(key);
        return;
      }
      waiting.push({ key, event: buildEvent(subject, note, nextTime(), controller, instance) });
      if (writers < CONCURRENCY) void write();
    },
    flush: () => (writers === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

/** The current time as a MicroTime, each later than the one before: a pass records several Events within a millisecond. */
function createEventClock(): () => string {
  let atMs = 0;
  let micros = 0;
  return () => {
    const nowMs = Date.now();
    micros = nowMs === atMs ? Math.min(micros + 1, 999) : 0;
    atMs = nowMs;
    return `${new Date(nowMs).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
  };
}

function buildEvent(subject: EventSubject, note: EventNote, eventTime: string, controller: string, instance: string) {
  const { namespace = "default" } = subject;
  // A name may not end with a dot or a dash, not even after it was cut.
  const name = subject.name.slice(0, NAME_LIMIT).replace(/[.-]+$/, "");
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { namespace, name: `${name}.${randomBytes(8).toString("hex")}` },
    eventTime,
    reportingController: controller,
    reportingInstance: instance,
    type: note.type,
    reason: note.reason,
    action: note.action,
    note: cutToBytes(note.message, NOTE_LIMIT),
    regarding: subject,
  };
}

/** Cuts a text to at most `limit` bytes without splitting a character. */
function cutToBytes(text: string, limit: number): string {
  return new StringDecoder().write(Buffer.from(text).subarray(0, limit));
}
