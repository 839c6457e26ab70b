/*
 * How long answers take. Reading the clock twice for each request would cost as much as looking the token up, so a sample is timed.
 */
import type { RequestListener } from "node:http";

/** One request in this many is timed. */
const EVERY = 16;

/** Passes on every request, and reports in seconds how long some of the answers took, until they were sent. */
export function timeSome(handle: RequestListener, onAnswer: (seconds: number) => void, every = EVERY): RequestListener {
  let left = 0;
  return (request, response) => {
    if (left === 0) {
      left = every;
      const startedAtMs = performance.now();
      response.once("finish", () => onAnswer((performance.now() - startedAtMs) / 1_000));
    }
    left -= 1;
    handle(request, response);
  };
}
