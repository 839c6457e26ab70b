/*
 * Sends HTTP requests as a gateway does, over connections that stay open, one request after the other on each. A program of its
 * own on raw sockets: it costs about a third of what a server of Node costs, so that the server is what is measured.
 */
import { connect, type Socket } from "node:net";
import type { Load, LoadResult } from "./load.ts";

process.on("message", (load: Load) => {
  void run(load).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit(0));

/** Latencies in microseconds: exact below 2 ms, and to 1 % above. */
const EXACT_US = 2_000;
const STEPS = 1_200;

function createHistogram() {
  const counts = new Uint32Array(EXACT_US + STEPS);
  let total = 0;
  return {
    add(us: number) {
      const step = us < EXACT_US ? us : EXACT_US + Math.log(us / EXACT_US) * 100;
      const place = Math.min(counts.length - 1, Math.floor(step));
      counts[place] = (counts[place] ?? 0) + 1;
      total += 1;
    },
    /** The latency, in ms, that a share of the requests stayed below. */
    quantile(share: number) {
      let left = share * total;
      const place = counts.findIndex((count) => {
        left -= count;
        return left <= 0;
      });
      return (place < EXACT_US ? place : EXACT_US * Math.exp((place - EXACT_US) / 100)) / 1_000;
    },
  };
}

/** One connection, which has at most one request in progress. */
interface Lane {
  readonly socket: Socket;
  sentAtMs: number;
  isBusy: boolean;
}

async function run({
  port,
  requests,
  connections,
  seconds = 0,
  count,
  perSecond,
  isBursty = false,
}: Load): Promise<LoadResult> {
  const bytes = requests.map((request) => Buffer.from(request, "latin1"));
  const histogram = createHistogram();
  const statuses: Record<string, number> = {};
  let answered = 0;
  let next = 0;
  let sent = 0;
  let isOver = false;
  const done = Promise.withResolvers<void>();
  const idle: Lane[] = [];

  const send = (lane: Lane, dueAtMs: number) => {
    if (sent === count) return;
    sent += 1;
    lane.isBusy = true;
    lane.sentAtMs = dueAtMs;
    lane.socket.write(bytes[next] as Buffer);
    next = next + 1 === bytes.length ? 0 : next + 1;
  };
  const take = (lane: Lane, status: string) => {
    const nowMs = performance.now();
    histogram.add((nowMs - lane.sentAtMs) * 1_000);
    statuses[status] = (statuses[status] ?? 0) + 1;
    answered += 1;
    lane.isBusy = false;
    if (answered === count) done.resolve();
    if (isOver) return;
    if (perSecond === undefined) send(lane, nowMs);
    else idle.push(lane);
  };
  const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(port, take)));
  const startedAtMs = performance.now();
  const cpuBefore = process.cpuUsage();
  if (perSecond === undefined) {
    for (const lane of lanes) send(lane, startedAtMs);
    stayAwake(() => isOver);
  } else {
    idle.push(...lanes);
    pace({ perSecond, isBursty }, startedAtMs + seconds * 1_000, idle, send);
  }
  if (count === undefined) setTimeout(done.resolve, seconds * 1_000);
  await done.promise;
  isOver = true;
  const elapsedSeconds = (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const { socket } of lanes) socket.destroy();
  return {
    perSecond: answered / elapsedSeconds,
    statuses,
    p50Ms: histogram.quantile(0.5),
    p99Ms: histogram.quantile(0.99),
    busy: (user + system) / 1e6 / elapsedSeconds,
  };
}

/**
 * To wake a generator that sleeps costs the server up to as much as its answer, on a virtual machine, and the slower the server the
 * more often. So the generator never sleeps while the server is measured.
 */
function stayAwake(isOver: () => boolean): void {
  const turn = () => {
    if (!isOver()) setImmediate(turn);
  };
  turn();
}

/** Sends at an even rate. A request counts from when it was due, so that one that had to wait for a connection shows it. */
function pace(
  { perSecond, isBursty }: { perSecond: number; isBursty: boolean },
  endsAtMs: number,
  idle: Lane[],
  send: (lane: Lane, dueAtMs: number) => void,
): void {
  const gapMs = 1_000 / perSecond;
  let dueAtMs = performance.now();
  const turn = () => {
    const nowMs = performance.now();
    while (dueAtMs <= nowMs) {
      const lane = idle.pop();
      if (lane === undefined) break;
      send(lane, dueAtMs);
      dueAtMs += gapMs;
    }
    if (nowMs >= endsAtMs) return;
    // A timer would send what is due within a millisecond in one burst; what is due more rarely leaves the core to others.
    if (gapMs < 2 && !isBursty) setImmediate(turn);
    else setTimeout(turn, 1);
  };
  turn();
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LENGTH = Buffer.from("ontent-Length: ");
const STATUS_AT = "HTTP/1.1 ".length;

/** Opens a connection that reports the status of each answer once all of it has arrived. */
function openLane(port: number, take: (lane: Lane, status: string) => void): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const lane: Lane = { socket, sentAtMs: 0, isBusy: false };
    let rest: Buffer | undefined;
    socket.on("data", (chunk: Buffer) => {
      const all = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      rest = all;
      const headEnd = all.indexOf(HEAD_END);
      if (headEnd < 0) return;
      const lengthAt = all.indexOf(LENGTH);
      const length = Number.parseInt(
        all.toString("latin1", lengthAt + LENGTH.length, lengthAt + LENGTH.length + 8),
        10,
      );
      if (lengthAt < 0 || all.length < headEnd + HEAD_END.length + length) return;
      rest = undefined;
      take(lane, all.toString("latin1", STATUS_AT, STATUS_AT + 3));
    });
    socket.once("connect", () => resolve(lane));
    socket.once("error", reject);
    socket.once("close", () => {
      if (lane.isBusy) take(lane, "broken off");
    });
  });
}
