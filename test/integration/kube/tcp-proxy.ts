/*
 * Networks also fail by falling silent, which clients notice last. This proxy holds bytes back instead of closing, and
 * can deliver them later.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A network between a client and the API server that can fall silent: nothing is refused or closed. */
export interface TcpProxy {
  /** A kubeconfig that connects through the proxy. */
  readonly kubeconfigPath: string;
  /** The connections that are open now. */
  readonly open: number;
  /** The connections that there have ever been. */
  readonly total: number;
  /** Holds back all bytes, in both directions, on existing connections and, with "all", on new ones. */
  freeze(which: "existing" | "all"): void;
  /** Delivers what was held back, and everything from now on. */
  thaw(): void;
  /** Breaks all open connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(kubeconfigPath: string): Promise<TcpProxy> {
  const kubeconfig = JSON.parse(readFileSync(kubeconfigPath, "utf8"));
  const { hostname, port } = new URL(kubeconfig.clusters[0].cluster.server);
  const pairs = new Set<readonly [Socket, Socket]>();
  let total = 0;
  let isFrozen = false;

  const server = createServer((near) => {
    total += 1;
    const far = connect(Number(port), hostname);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
    if (isFrozen) hold(pair);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const folder = mkdtempSync(join(tmpdir(), "apitoken-proxy-"));
  const path = join(folder, "kubeconfig");
  kubeconfig.clusters[0].cluster.server = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(path, JSON.stringify(kubeconfig));

  return {
    kubeconfigPath: path,
    get open() {
      return pairs.size;
    },
    get total() {
      return total;
    },
    freeze(which) {
      isFrozen = which === "all";
      for (const pair of pairs) hold(pair);
    },
    thaw() {
      isFrozen = false;
      for (const [near, far] of pairs) {
        near.pipe(far);
        far.pipe(near);
      }
    },
    cut() {
      for (const [near] of pairs) near.destroy();
    },
    async close() {
      for (const [near] of pairs) near.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function hold([near, far]: readonly [Socket, Socket]): void {
  near.unpipe(far).pause();
  far.unpipe(near).pause();
}
