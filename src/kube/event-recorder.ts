import { createHash, randomBytes } from "node:crypto";
import { StringDecoder } from "node:string_decoder";
import type { Logger } from "../runtime/log.ts";
import type { KubeTransport } from "./transport.ts";

/** The object that an Event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  /** What was done, or tried. */
  readonly action: string;
  readonly message: string;
}

/** Writes Events without ever holding up the work that they tell of. */
export interface EventRecorder {
  record(subject: EventSubject, note: EventNote): void;
  /** Resolves when nothing waits to be written. */
  flush(): Promise<void>;
}

const QUEUE_LIMIT = 1_000;
const CONCURRENCY = 4;
/** The same Event about the same object is not repeated within this time. */
const REPEAT_MS = 10 * 60_000;
/** So many Events are remembered for that. */
const REMEMBERED = 10_000;
/** The API server's limit of an Event's note, in bytes. */
const NOTE_LIMIT = 1_024;
/** What is left of an object's name in its Events' names, which may have 253 characters. */
const NAME_LIMIT = 200;

/** A recorder of events.k8s.io/v1 Events. What the API server does not take, or what is too much, is dropped and counted. */
export function createEventRecorder(options: {
  readonly transport: KubeTransport;
  /** The controller's name, such as apitoken.dev/controller. */
  readonly controller: string;
  /** The replica. */
  readonly instance: string;
  readonly log: Logger;
  readonly onDropped?: () => void;
}): EventRecorder {
  const { transport, controller, instance, log, onDropped } = options;
  const waiting: { key: string; event: ReturnType<typeof buildEvent> }[] = [];
  const lastAtMs = new Map<string, number>();
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

  /** An Event that nobody will see must not keep its repetition from being written. */
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
      waiting.push({ key, event: buildEvent(subject, note, controller, instance) });
      if (writers < CONCURRENCY) void write();
    },
    flush: () => (writers === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

function buildEvent(subject: EventSubject, note: EventNote, controller: string, instance: string) {
  const { namespace } = subject;
  // A name that is cut off may not end with a dot or a dash.
  const name = subject.name.slice(0, NAME_LIMIT).replace(/[.-]+$/, "");
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { namespace, name: `${name}.${randomBytes(8).toString("hex")}` },
    eventTime: `${new Date().toISOString().slice(0, -1)}000Z`,
    reportingController: controller,
    reportingInstance: instance,
    type: note.type,
    reason: note.reason,
    action: note.action,
    note: cutToBytes(note.message, NOTE_LIMIT),
    regarding: subject,
  };
}

/** Cuts a text so that it has no more than so many bytes, between two characters. */
function cutToBytes(text: string, limit: number): string {
  return new StringDecoder().write(Buffer.from(text).subarray(0, limit));
}
