/*
 * How long answers take. Reading the clock twice for each request would cost as much as looking the token up, so a sample is timed.
 */

import type { RequestListener } from "node:http";
import { performance } from "node:perf_hooks";
import type { GrpcMethod } from "./grpc-server.ts";

/** One request in this many is timed. */
const EVERY = 16;

/** Passes on every request, and reports in seconds how long some of the answers took, until they were sent. */
export function timeSome(handle: RequestListener, onAnswer: (seconds: number) => void, every = EVERY): RequestListener {
  const isTimed = createSample(every);
  return (request, response) => {
    if (isTimed()) {
      const startedAtMs = performance.now();
      response.once("finish", () => onAnswer((performance.now() - startedAtMs) / 1_000));
    }
    handle(request, response);
  };
}

/** The same for a method of gRPC, until its answer is known. */
export function timeSomeCalls(method: GrpcMethod, onAnswer: (seconds: number) => void, every = EVERY): GrpcMethod {
  const isTimed = createSample(every);
  return (message) => {
    if (!isTimed()) return method(message);
    const startedAtMs = performance.now();
    const report = () => onAnswer((performance.now() - startedAtMs) / 1_000);
    const reply = method(message);
    if (reply instanceof Promise)
      reply.then(report, () => {}); // who gets the reply sees its failure
    else report();
    return reply;
  };
}

/** True for the first call, and for one in `every` from then on. */
function createSample(every: number): () => boolean {
  let left = 0;
  return () => {
    const isNext = left === 0;
    left = isNext ? every - 1 : left - 1;
    return isNext;
  };
}
