import { createHash, randomBytes } from "node:crypto";
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
/** The API server's limit of an Event's note, in characters. */
const NOTE_LIMIT = 1_024;

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
  const waiting: unknown[] = [];
  const lastAtMs = new Map<string, number>();
  let writers = 0;
  let onIdle: (() => void)[] = [];

  const isRepeated = (key: string): boolean => {
    const nowMs = performance.now();
    const isRepeat = nowMs - (lastAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS;
    if (!isRepeat) {
      lastAtMs.delete(key);
      lastAtMs.set(key, nowMs);
      if (lastAtMs.size > 10_000) lastAtMs.delete(lastAtMs.keys().next().value as string);
    }
    return isRepeat;
  };

  const write = async () => {
    writers += 1;
    for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
      const { namespace } = (event as { metadata: { namespace: string } }).metadata;
      const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
      await transport.request("POST", path, { body: event }).catch((error: unknown) => {
        onDropped?.();
        log.debug({ err: error }, "event dropped");
      });
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
        onDropped?.();
        return;
      }
      waiting.push(buildEvent(subject, note, controller, instance));
      if (writers < CONCURRENCY) void write();
    },
    flush: () => (writers === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

function buildEvent(subject: EventSubject, note: EventNote, controller: string, instance: string) {
  const { namespace, name } = subject;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { namespace, name: `${name.slice(0, 200)}.${randomBytes(8).toString("hex")}` },
    eventTime: `${new Date().toISOString().slice(0, -1)}000Z`,
    reportingController: controller,
    reportingInstance: instance,
    type: note.type,
    reason: note.reason,
    action: note.action,
    note: note.message.slice(0, NOTE_LIMIT),
    regarding: subject,
  };
}
