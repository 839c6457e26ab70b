import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What becomes of the bytes between a program and a server. */
export type ProxyMode =
  | { readonly kind: "pass" }
  /** Nobody listens, and the connections of now are reset. */
  | { readonly kind: "refuse" }
  /** What the server says comes so much later. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Takes everything and delivers nothing; a connection that has lost a byte stays so when the mode is over. */
  | { readonly kind: "stall" }
  /** Resets every connection once it has delivered so many more bytes of what the server says. */
  | { readonly kind: "truncate"; readonly bytes: number };

/** A network between a program and a server, with the faults that networks have. */
export interface TcpProxy {
  readonly port: number;
  /** The connections that there have ever been. */
  readonly total: number;
  /** How many times a fault has done something: a connection reset, a chunk delayed or lost. */
  readonly faults: number;
  setMode(mode: ProxyMode): Promise<void>;
  /** Resets the connections of now; what was under way is lost. */
  reset(): void;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isLost: boolean;
  /** What the server has said since the mode was set. */
  delivered: number;
}

/** Starts a proxy on a free port of the loopback interface; it begins with "pass". */
export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let mode: ProxyMode = { kind: "pass" };
  let total = 0;
  let faults = 0;

  const server = createServer((near) => {
    total += 1;
    const far = connect(target.port, target.host);
    const pair: Pair = { near, far, isLost: false, delivered: 0 };
    pairs.add(pair);
    const upload = createSender(far);
    const download = createSender(near);
    near.on("data", (chunk) => {
      if (!isSwallowed(pair)) upload(chunk, 0);
    });
    far.on("data", (chunk) => {
      if (isSwallowed(pair)) return;
      if (mode.kind === "delay") faults += 1;
      pair.delivered += chunk.length;
      const excess = mode.kind === "truncate" ? pair.delivered - mode.bytes : 0;
      if (excess <= 0) return download(chunk, mode.kind === "delay" ? mode.ms : 0);
      near.write(chunk.subarray(0, Math.max(0, chunk.length - excess)), () => resetPair(pair));
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("error", () => {});
      // A network that lost a connection does not tell the other side that one side has given it up.
      from.on("close", () => void (pair.isLost || mode.kind === "stall" || to.destroy()));
    }
    far.on("close", () => near.destroyed && pairs.delete(pair));
    near.on("close", () => far.destroyed && pairs.delete(pair));
  });

  const isSwallowed = (pair: Pair): boolean => {
    pair.isLost ||= mode.kind === "stall";
    if (pair.isLost) faults += 1;
    return pair.isLost;
  };
  const resetPair = ({ near, far }: Pair) => {
    faults += 1;
    near.resetAndDestroy();
    far.resetAndDestroy();
  };
  const reset = () => {
    for (const pair of pairs) resetPair(pair);
    pairs.clear();
  };
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const unlisten = () => new Promise<void>((resolve) => server.close(() => resolve()));

  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get total() {
      return total;
    },
    get faults() {
      return faults;
    },
    async setMode(next) {
      const wasListening = mode.kind !== "refuse";
      mode = next;
      for (const pair of pairs) pair.delivered = 0;
      if (next.kind !== "refuse" && !wasListening) await listen(port);
      if (next.kind !== "refuse" || !wasListening) return;
      const closed = unlisten();
      reset();
      await closed;
    },
    reset,
    async close() {
      const closed = mode.kind === "refuse" ? undefined : unlisten();
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await closed;
    },
  };
}

/** Writes chunks to a socket, each after its delay, and none before the one that came before it. */
function createSender(to: Socket): (chunk: Buffer, delayMs: number) => void {
  let latestAtMs = 0;
  return (chunk, delayMs) => {
    const nowMs = performance.now();
    const atMs = Math.max(nowMs + delayMs, latestAtMs);
    latestAtMs = atMs;
    if (atMs > nowMs) setTimeout(() => to.writable && to.write(chunk), atMs - nowMs);
    else to.write(chunk);
  };
}
