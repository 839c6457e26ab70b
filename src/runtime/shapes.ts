/*
 * V8 forgets a shape, and what it has learned where it met it, once a garbage collection finds no object that has it. Most code learns
 * it again. `process.nextTick` cannot, because the keys of the objects that it makes are computed: each call takes eight times as long
 * from then on, which is a tenth of what a server of HTTP does.
 */
import { executionAsyncResource } from "node:async_hooks";
import type { Server } from "node:net";

const kept: object[] = [];

/** Keeps one object of `process.nextTick` for as long as the process runs. Call it before there is much in memory. */
export function keepTickShape(): void {
  process.nextTick(() => void kept.push(executionAsyncResource()));
}

/**
 * At each place in code, V8 is fast with up to four shapes of objects, and Node's code for sockets serves those of all servers and
 * clients of a process. A socket gets one more property, and so another shape, when somebody first asks for its peer: here that is
 * when it opens, for all of them.
 */
export function unifySockets(server: Server): void {
  server.on("connection", (socket) => void socket.remoteAddress);
}
