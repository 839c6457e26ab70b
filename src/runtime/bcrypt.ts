/*
 * The main thread's side of bcrypt: it starts the thread that does the arithmetic, and keeps it only while there is work.
 */
import { Worker } from "node:worker_threads";
import type { BcryptRequest } from "./bcrypt-worker.ts";

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>;
}

/** bcrypt on a thread of its own, which works through its requests in order. */
export interface Bcrypt {
  /** The bcrypt hash of a text of at most 72 bytes; `rounds` is the base-2 logarithm of the number of rounds. */
  hash(text: string, rounds: number): Promise<string>;
  /** Whether the text is the one that was hashed. */
  compare(text: string, hash: string): Promise<boolean>;
}

/** The first request starts the thread, and the first one after a failure of the thread starts another. */
export function createBcrypt(): Bcrypt {
  let thread: Thread | undefined;
  let lastId = 0;
  const ask = (request: BcryptRequest) => {
    thread ??= startThread(() => {
      thread = undefined;
    });
    const { worker, waiting } = thread;
    lastId += 1;
    const id = lastId;
    return new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, request });
    });
  };
  return {
    hash: async (text, rounds) => (await ask({ text, rounds })) as string,
    compare: async (text, hash) => (await ask({ text, hash })) === true,
  };
}

function startThread(onEnd: () => void): Thread {
  // Next to this file: a source, or a bundle next to the program that contains this file.
  const file = import.meta.url.endsWith(".ts") ? "./bcrypt-worker.ts" : "./bcrypt-worker.js";
  const worker = new Worker(new URL(file, import.meta.url));
  const started: Thread = { worker, waiting: new Map() };
  let hasEnded = false;
  worker.unref(); // an idle thread keeps no process alive
  worker.on("message", ({ id, result }: { id: number; result: unknown }) => {
    started.waiting.get(id)?.resolve(result);
    started.waiting.delete(id);
    if (started.waiting.size === 0) worker.unref();
  });
  const fail = (cause: unknown) => {
    if (hasEnded) return; // an error is followed by the exit
    hasEnded = true;
    onEnd();
    for (const { reject } of started.waiting.values()) reject(new Error("the bcrypt thread has ended", { cause }));
    started.waiting.clear();
  };
  worker.on("error", fail).on("exit", fail);
  return started;
}
