/*
 * The faults of a network, byte by byte and without knowledge of the protocol, so that the same proxy works in front of
 * Postgres and of the API server.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What happens to the bytes between a program and a server. */
export type ProxyMode =
  | { readonly kind: "pass" }
  /** Nothing listens, and open connections are reset. */
  | { readonly kind: "refuse" }
  /** The server's bytes arrive this much later. */
  | { readonly kind: "delay"; readonly ms: number }
  /**
   * Accepts everything and delivers nothing. A connection that has lost a byte stays silent after the mode has ended.
   */
  | { readonly kind: "stall" }
  /** Resets each connection after it has delivered this many more of the server's bytes. */
  | { readonly kind: "truncate"; readonly bytes: number };

/** A TCP proxy between a program and a server. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections there have been in all. */
  readonly total: number;
  /** How often a fault took effect: connections reset, chunks delayed or lost. */
  readonly faults: number;
  setMode(mode: ProxyMode): Promise<void>;
  /** Resets all open connections; bytes in transit are lost. */
  reset(): void;
  close(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isLost: boolean;
  /** How many bytes the server has sent since the mode was set. */
  delivered: number;
}

/** A proxy in front of a database; `url` is the database's, by way of the proxy. */
export interface DatabaseProxy extends TcpProxy {
  readonly url: string;
}

/** Starts a proxy between a program and the database of a URL. */
export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const url = new URL(databaseUrl);
  const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  return Object.assign(proxy, { url: url.href });
}

/** Starts a proxy in mode "pass" on a free port of the loopback interface. */
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
      // A network that has lost a connection does not notify one side when the other closes it.
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

/** Writes chunks to a socket, each after its delay but never before the previous one. */
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
