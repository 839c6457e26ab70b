/*
 * A Service of Kubernetes in front of several pods: a new connection goes to one that was ready a moment ago, and then stays where it
 * is.
 */
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export interface Endpoint {
  readonly port: number;
  isReady(): Promise<boolean>;
}

export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** How long it takes until a pod's readiness reaches those who connect. */
const LOOK_EVERY_MS = 200;

/** Starts a Service; there must be a ready endpoint. */
export async function startService(endpoints: readonly Endpoint[]): Promise<Service> {
  let ready: Endpoint[] = [];
  let turn = 0;
  let isStopped = false;
  const look = async () => {
    const answers = await Promise.all(
      endpoints.map(async (endpoint) => ((await endpoint.isReady()) ? [endpoint] : [])),
    );
    ready = answers.flat();
  };
  const server = createServer((near) => {
    const endpoint = ready[turn % ready.length];
    turn += 1;
    near.on("error", () => {});
    if (endpoint === undefined) return void near.destroy();
    const far = connect({ port: endpoint.port, host: "127.0.0.1", noDelay: true });
    near.setNoDelay(true);
    far.on("error", () => near.resetAndDestroy());
    // Nobody reads any more what the client sends, not even its end.
    far.on("close", () => near.destroySoon());
    near.on("close", () => far.destroy());
    near.pipe(far).pipe(near);
  });
  await look();
  // One after the other: an old look that took long must not overwrite what a newer one has seen.
  const watching = (async () => {
    while (!isStopped) {
      await delay(LOOK_EVERY_MS);
      await look();
    }
  })();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      isStopped = true;
      await watching;
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
