/*
 * Integration tests run the whole controller in their own process: that is fast, and a test can put faults between it
 * and the outside.
 */
import { randomBytes } from "node:crypto";
import { type ControllerConfig, readControllerConfig } from "../../src/controller/config.ts";
import { type Controller, startController } from "../../src/controller/controller.ts";
import { OWNER_BLOCKS_PATH } from "../../src/kube/resources/owner-block.ts";
import { POLICIES_PATH } from "../../src/kube/resources/policy.ts";
import type { Stored } from "../../src/kube/store.ts";
import { createTransport, type KubeTransport } from "../../src/kube/transport.ts";
import { type Database, openDatabase } from "../../src/postgres/database.ts";
import { createLogger } from "../../src/runtime/log.ts";
import { createTokenHasher } from "../../src/runtime/token-hash.ts";
import type { TestCluster } from "./cluster.ts";

export interface TestControllerOptions {
  readonly identity?: string;
  /** Settings that override a test's usual ones (one namespace, short leases). */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether the API server is the test's own, so that all policies and OwnerBlocks are this controller's. */
  readonly ownsCluster?: boolean;
  /** Wraps the controller's connections, to play faults or to count calls. */
  readonly wrapTransport?: (transport: KubeTransport) => KubeTransport;
  readonly wrapDatabase?: (database: Database) => Database;
}

export type TestController = Controller & { readonly identity: string; readonly config: ControllerConfig };

/** The environment of a controller that watches only the test's namespace and keeps its keyring and Lease there. */
export function controllerSettings(cluster: TestCluster, databaseUrl: string): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    KUBECONFIG: cluster.kubeconfigPath,
    APITOKEN_NAMESPACE: cluster.namespace,
    APITOKEN_WATCH_NAMESPACES: cluster.namespace,
    APITOKEN_HTTP_PORT: "0",
    APITOKEN_LEASE_DURATION: "3s",
    APITOKEN_LEASE_RENEW_DEADLINE: "2s",
    APITOKEN_LEASE_RETRY_PERIOD: "200ms",
    APITOKEN_LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? "error",
  };
}

/** Starts a controller in this process. */
export async function startTestController(
  cluster: TestCluster,
  databaseUrl: string,
  options: TestControllerOptions = {},
): Promise<TestController> {
  const config = readControllerConfig({ ...controllerSettings(cluster, databaseUrl), ...options.settings });
  const identity = options.identity ?? `test-${randomBytes(4).toString("hex")}`;
  const log = createLogger("controller", config.logLevel);
  const keep = <T>(value: T): T => value;
  const transport = await createTransport({ userAgent: identity, kubeconfigPath: cluster.kubeconfigPath });
  const db = openDatabase({
    url: databaseUrl,
    role: "apitoken_controller",
    actor: `controller/${identity}`,
    maxConnections: config.databaseConnections,
  });
  const controller = await startController({
    config,
    identity,
    log,
    hasher: createTokenHasher(),
    transport: (options.ownsCluster ? keep : ignoreOthers)((options.wrapTransport ?? keep)(transport), cluster),
    db: (options.wrapDatabase ?? keep)(db),
  });
  return {
    ...controller,
    identity,
    config,
    async stop() {
      await controller.stop();
      await Promise.allSettled([transport.close(), db.close()]);
    },
  };
}

/**
 * OwnerBlocks and policies are cluster-scoped, but each test's controller has its own database. So each sees only the blocks
 * that are named after its namespace, and reports only on such policies: it must not count other tests' work as its own.
 */
function ignoreOthers(transport: KubeTransport, { namespace }: TestCluster): KubeTransport {
  const isOurs = ({ metadata }: Stored) => metadata.name?.startsWith(namespace);
  return {
    ...transport,
    async request<T>(...call: Parameters<KubeTransport["request"]>) {
      const isPolicy = call[0] === "PUT" && call[1].startsWith(`${POLICIES_PATH}/`);
      if (isPolicy && !isOurs(call[2]?.body as Stored)) return call[2]?.body as T;
      const answer = await transport.request<T>(...call);
      if (call[0] !== "GET" || call[1] !== OWNER_BLOCKS_PATH) return answer;
      return { ...answer, items: (answer as { items: Stored[] }).items.filter(isOurs) };
    },
    async *watch<T>(...call: Parameters<KubeTransport["watch"]>) {
      for await (const event of transport.watch<T>(...call)) {
        const { type, object } = event as { type: string; object: Stored };
        const isObject = ["ADDED", "MODIFIED", "DELETED"].includes(type);
        if (call[0] !== OWNER_BLOCKS_PATH || !isObject || isOurs(object)) yield event;
      }
    },
  };
}

/** The value of the metric on the line that begins with this name and labels; 0 if there is none. */
export async function readMetric(controller: Pick<Controller, "port">, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${controller.port}/metrics`)).text();
  const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}

/** Whether a controller leads, listens for changes in the database and has nothing to do, so its metrics are final. */
export async function isSettled(controller: Pick<Controller, "port">): Promise<boolean> {
  const [isDatabaseAvailable, isAtRest] = await Promise.all([
    readMetric(controller, "apitoken_database_available"),
    isIdle(controller),
  ]);
  return isDatabaseAvailable === 1 && isAtRest;
}

/** Whether a controller leads and currently has nothing to do. */
export async function isIdle(controller: Pick<Controller, "port">): Promise<boolean> {
  const [leading, depth, busy] = await Promise.all(
    ["apitoken_leading", "apitoken_queue_depth", "apitoken_queue_busy"].map((name) => readMetric(controller, name)),
  );
  return leading === 1 && depth === 0 && busy === 0;
}
