import { parentPort } from "node:worker_threads";
import { compareSync, hashSync } from "bcryptjs";

/** What the thread is asked: to hash a text, or to compare it with a hash. */
export type BcryptRequest = { readonly text: string } & ({ readonly rounds: number } | { readonly hash: string });

/* A thread of its own: hundreds of milliseconds of arithmetic must not hold up the renewal of a lease. */
parentPort?.on("message", ({ id, request }: { id: number; request: BcryptRequest }) => {
  const { text } = request;
  const result = "rounds" in request ? hashSync(text, request.rounds) : compareSync(text, request.hash);
  parentPort?.postMessage({ id, result });
});
