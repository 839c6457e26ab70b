/*
 * bcrypt in a thread of its own: hundreds of milliseconds of arithmetic must not delay the renewal of a lease. It is a file
 * of its own because a thread is started from one.
 */
import { parentPort } from "node:worker_threads";
import { compareSync, hashSync } from "bcryptjs";

/** The thread's work: to hash a text, or to compare it with a hash. */
export type BcryptRequest = { readonly text: string } & ({ readonly rounds: number } | { readonly hash: string });

parentPort?.on("message", ({ id, request }: { id: number; request: BcryptRequest }) => {
  const { text } = request;
  const result = "rounds" in request ? hashSync(text, request.rounds) : compareSync(text, request.hash);
  parentPort?.postMessage({ id, result });
});
