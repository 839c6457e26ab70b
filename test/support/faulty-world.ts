/*
 * The set-up for tests of outages: everything that the controller says to its servers goes through proxies that play
 * faults, while the test itself sees both servers undisturbed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import type { KubeTransport } from "../../src/kube/transport.ts";
import { type ApiProxy, startApiProxy } from "./api-proxy.ts";
import { connectCluster, readToken, type TestCluster } from "./cluster.ts";
import { isIdle, readMetric, startTestController, type TestController } from "./controllers.ts";
import { createTestDatabase, findRows } from "./database.ts";
import { eventually } from "./eventually.ts";
import { createWriteTap } from "./faults.ts";
import { type ClusterResources, createClusterResources } from "./policies.ts";
import { startDatabaseProxy, startTcpProxy, type TcpProxy } from "./proxy.ts";
import { issueToken } from "./resources.ts";

/** A controller that reaches the API server and the database only through proxies. Tests reach both directly. */
export interface FaultyWorld {
  readonly cluster: TestCluster;
  readonly resources: ClusterResources;
  readonly databaseUrl: string;
  readonly controller: TestController;
  /** The network to the database. `network` is the one to the API server. */
  readonly database: TcpProxy;
  readonly network: TcpProxy;
  /** Faults of the API server itself. */
  readonly api: ApiProxy;
  /** Waits until a pass over every ApiToken has written nothing. */
  untilNothingIsWritten(): Promise<void>;
  close(): Promise<void>;
}

export async function createFaultyWorld(): Promise<FaultyWorld> {
  const cluster = await connectCluster();
  const resources = createClusterResources(cluster);
  const databaseUrl = await createTestDatabase();
  const database = await startDatabaseProxy(databaseUrl);
  const api = await startApiProxy(cluster.kubeconfigPath);
  const network = await startTcpProxy({ host: "127.0.0.1", port: api.port });
  const folder = mkdtempSync(join(tmpdir(), "apitoken-faulty-"));
  const kubeconfigPath = join(folder, "kubeconfig");
  const kubeconfig = JSON.parse(readFileSync(cluster.kubeconfigPath, "utf8"));
  kubeconfig.clusters[0].cluster.server = `https://127.0.0.1:${network.port}`;
  writeFileSync(kubeconfigPath, JSON.stringify(kubeconfig), { mode: 0o600 });

  const tap = createWriteTap();
  const controller = await startTestController({ ...cluster, kubeconfigPath }, database.url, {
    wrapTransport: (transport) => tap.wrapTransport(hurryWatches(transport)),
    wrapDatabase: tap.wrapDatabase,
  });
  const countPasses = () => readMetric(controller, 'apitoken_reconcile_total{result="converged"}');

  return {
    cluster,
    resources,
    databaseUrl,
    controller,
    database,
    network,
    api,
    async untilNothingIsWritten() {
      await eventually(
        async () => {
          await eventually(() => isIdle(controller), { timeoutMs: 30_000 });
          const { items } = await cluster.transport.request<{ items: unknown[] }>("GET", pathOfApiTokens(cluster));
          const [passes, writes] = [await countPasses(), tap.writes.length];
          // The database sends this if it cannot tell what has changed. It triggers a pass over every ApiToken.
          await runAsSuperuser(databaseUrl, "select pg_notify('apitoken_changed', 'everything')");
          await eventually(async () => expect(await countPasses()).toBeGreaterThanOrEqual(passes + items.length));
          await eventually(() => isIdle(controller));
          expect(tap.writes.slice(writes)).toEqual([]);
        },
        { timeoutMs: 30_000 },
      );
    },
    async close() {
      await Promise.all([database.setMode({ kind: "pass" }), network.setMode({ kind: "pass" })]);
      api.play();
      await controller.stop();
      await Promise.all([resources.clear(), database.close(), network.close(), api.close()]);
      await cluster.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Makes watches end, and silent ones count as broken, within seconds instead of minutes. */
function hurryWatches(transport: KubeTransport): KubeTransport {
  return {
    ...transport,
    watch: (path, query, options) =>
      transport.watch(path, { ...query, timeoutSeconds: "4" }, { ...options, stallMs: 6_000 }),
  };
}

/** ApiTokens that nobody touches; the owner of one is blocked. */
export interface Bystanders {
  /** Stops watching. Rejects if anything was wrong with them at any time. */
  stop(): Promise<void>;
}

const LEAVER = "leaver";
const NAMES = ["bystander-1", "bystander-2"];

/** Checks the bystanders again and again: their rows and Secrets must never change. */
export async function watchBystanders({ cluster, resources, databaseUrl }: FaultyWorld): Promise<Bystanders> {
  const plaintexts = await Promise.all(NAMES.map((name) => issueToken(cluster, name)));
  await issueToken(cluster, LEAVER, { owner: `${LEAVER}-${cluster.namespace}` });
  await resources.applyBlock(LEAVER, { owner: `${LEAVER}-${cluster.namespace}` });
  await eventually(async () => expect(await findRows(databaseUrl, LEAVER)).toMatchObject([{ is_live: false }]));
  const known = await Promise.all(NAMES.map((name) => findRows(databaseUrl, name)));

  const look = async () => {
    expect(await Promise.all(NAMES.map((name) => findRows(databaseUrl, name)))).toEqual(known);
    expect(known.flat()).toMatchObject(NAMES.map(() => ({ is_live: true, revoked_at: null })));
    const secrets = await Promise.all(NAMES.map((name) => cluster.getSecret(name)));
    expect(secrets.map((secret) => readToken(secret))).toEqual(plaintexts);
    expect(await findRows(databaseUrl, LEAVER)).toMatchObject([{ is_live: false }]);
  };
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  watching.catch(() => {});
  return {
    async stop() {
      isStopped = true;
      await watching;
      await look();
    },
  };
}

function pathOfApiTokens({ namespace }: TestCluster): string {
  return `/apis/apitoken.dev/v1alpha1/namespaces/${namespace}/apitokens`;
}
