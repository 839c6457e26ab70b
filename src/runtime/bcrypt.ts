/*
 * The main thread's side of bcrypt: it starts the thread that does the arithmetic, and keeps it only while there is work.
 */
import { Worker } from "node:worker_threads";
import type { BcryptRequest } from "./bcrypt-worker.ts";

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>;
}

let thread: Thread | undefined;
let lastId = 0;

/** The bcrypt hash of a text of at most 72 bytes; `rounds` is the base-2 logarithm of the number of rounds. */
export async function bcryptHash(text: string, rounds: number): Promise<string> {
  return (await ask({ text, rounds })) as string;
}

/** Whether the text is the one that was hashed. */
export async function bcryptCompare(text: string, hash: string): Promise<boolean> {
  return (await ask({ text, hash })) === true;
}

/** The thread works through its requests in order. It is started by the first of them. */
function ask(request: BcryptRequest): Promise<unknown> {
  thread ??= startThread();
  const { worker, waiting } = thread;
  lastId += 1;
  const id = lastId;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.ref();
    worker.postMessage({ id, request });
  });
}

function startThread(): Thread {
  // Next to this file: a source, or a bundle next to the program that contains this file.
  const file = import.meta.url.endsWith(".ts") ? "./bcrypt-worker.ts" : "./bcrypt-worker.js";
  const worker = new Worker(new URL(file, import.meta.url));
  const started: Thread = { worker, waiting: new Map() };
  worker.unref(); // an idle thread keeps no process alive
  worker.on("message", ({ id, result }: { id: number; result: unknown }) => {
    started.waiting.get(id)?.resolve(result);
    started.waiting.delete(id);
    if (started.waiting.size === 0) worker.unref();
  });
  const fail = (cause: unknown) => {
    if (thread === started) thread = undefined;
    for (const { reject } of started.waiting.values()) reject(new Error("the bcrypt thread has ended", { cause }));
    started.waiting.clear();
  };
  worker.on("error", fail).on("exit", fail);
  return started;
}
