import { expect } from "vitest";
import { type Reflector, type ReflectorOptions, startReflector } from "../../../src/kube/reflector.ts";
import { API_TOKEN_FIELDS, type ApiToken, reduceApiToken } from "../../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../../src/kube/resources/api-token-api.ts";
import type { ObjectMeta } from "../../../src/kube/resources/group.ts";
import { createStore, type Store } from "../../../src/kube/store.ts";
import { createTransport, type KubeTransport } from "../../../src/kube/transport.ts";
import { createLogger } from "../../../src/runtime/log.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

interface ConfigMap {
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly data?: Readonly<Record<string, string>>;
}

const LABELS = { "is-managed": "true" };

let proxy: TcpProxy;
let transport: KubeTransport;
let store: Store<ConfigMap>;
let reflector: Reflector | undefined;
let changes: string[];
let path: string;

test.beforeEach(async ({ cluster }) => {
  path = `/api/v1/namespaces/${cluster.namespace}/configmaps`;
  await cluster.transport.request("DELETE", path);
  proxy = await startTcpProxy(cluster.kubeconfigPath);
  transport = await createTransport({ userAgent: "apitoken-test", kubeconfigPath: proxy.kubeconfigPath });
  store = createStore<ConfigMap>();
  changes = [];
});

test.afterEach(async () => {
  await reflector?.stop();
  await transport.close();
  await proxy.close();
});

function reflect(cluster: TestCluster, options: Partial<ReflectorOptions<ConfigMap>> = {}): Reflector {
  reflector = startReflector<ConfigMap>({
    transport,
    path,
    namespace: cluster.namespace,
    labelSelector: "is-managed=true",
    store,
    fields: { metadata: "whole", data: "whole" },
    reduce: (raw) => raw as ConfigMap,
    onChange: ({ type, object }) => changes.push(`${type} ${object.metadata.name} ${object.data?.color ?? ""}`),
    log: createLogger("test", "error"),
    backoff: { firstMs: 20, longestMs: 200 },
    ...options,
  });
  return reflector;
}

async function create(cluster: TestCluster, name: string, color = "red", labels: object = LABELS): Promise<ConfigMap> {
  return cluster.transport.request("POST", path, { body: { metadata: { name, labels }, data: { color } } });
}

async function patch(cluster: TestCluster, name: string, body: object): Promise<ConfigMap> {
  return cluster.transport.request("PATCH", `${path}/${name}`, { contentType: "application/merge-patch+json", body });
}

const remove = (cluster: TestCluster, name: string) => cluster.transport.request("DELETE", `${path}/${name}`);

/** The objects of the API server and those of the store, as "name@version". */
async function expectSame(cluster: TestCluster): Promise<void> {
  await eventually(async () => {
    const { items } = await cluster.transport.request<{ items: ConfigMap[] }>("GET", path, {
      query: { labelSelector: "is-managed=true" },
    });
    const format = ({ metadata }: ConfigMap) => `${metadata.name}@${metadata.resourceVersion}`;
    expect([...store.values()].map(format).sort()).toEqual(items.map(format).sort());
  });
}

test("a collection is listed in pages and then followed", async ({ cluster }) => {
  await Promise.all(Array.from({ length: 120 }, (_, i) => create(cluster, `thing-${i}`)));
  await create(cluster, "foreign", "red", {});
  await reflect(cluster, { pageSize: 50 }).synced;
  expect(store.size).toBe(120);
  changes.length = 0;

  await create(cluster, "new");
  await patch(cluster, "new", { data: { color: "blue" } });
  await remove(cluster, "thing-7");
  await patch(cluster, "thing-8", { metadata: { labels: { "is-managed": null } } });
  await patch(cluster, "foreign", { metadata: { labels: LABELS } });
  await expectSame(cluster);
  expect(changes).toEqual([
    "added new red",
    "updated new blue",
    "deleted thing-7 red",
    "deleted thing-8 red",
    "added foreign red",
  ]);
});

test("our own write, put into the store, is not reported again when the watch delivers it", async ({ cluster }) => {
  await create(cluster, "a");
  await reflect(cluster).synced;
  changes.length = 0;
  proxy.freeze("all");
  store.upsert(await patch(cluster, "a", { data: { color: "ours" } }));
  await create(cluster, "last");
  proxy.thaw();
  await eventually(() => changes.includes("added last red"));
  expect(changes).toEqual(["added last red"]);
});

test("a version that the server no longer has (a real 410) leads to a new list; a recreated object is a new one", async ({
  cluster,
}) => {
  const stay = await cluster.apply("stays", { owner: "ann" });
  const gone = await cluster.apply("goes", { owner: "ann" });
  const before = await cluster.apply("again", { owner: "ann" });
  const found: (string | undefined)[] = [];
  let isStale = true;
  const stale: KubeTransport = {
    ...transport,
    async *watch(where, query, options) {
      if (isStale) {
        await Promise.all([cluster.delete("goes"), cluster.delete("again")]);
        found.push((await cluster.apply("again", { owner: "bob" })).metadata.uid);
      }
      yield* transport.watch(where, isStale ? { ...query, resourceVersion: "1" } : query, options);
    },
  };
  const told: string[] = [];
  const reasons: string[] = [];
  reflector = startReflector<ApiToken>({
    transport: stale,
    path: apiTokensPath(cluster.namespace),
    store: createStore<ApiToken>(),
    fields: API_TOKEN_FIELDS,
    reduce: reduceApiToken,
    onChange: ({ type, object }) => told.push(`${type} ${object.metadata.uid}`),
    onRestart: (reason) => {
      isStale = false;
      reasons.push(reason);
    },
    log: createLogger("test", "error"),
  });
  await eventually(() => told.includes(`added ${found[0]}`));
  expect(reasons).toEqual(["expired"]);
  const added = [stay, gone, before].map(({ metadata }) => `added ${metadata.uid}`);
  const later = [`deleted ${before.metadata.uid}`, `added ${found[0]}`, `deleted ${gone.metadata.uid}`];
  expect(told.slice(0, 3).sort()).toEqual(added.sort());
  expect(told.slice(3)).toEqual(later);
});

test("broken and silent networks cause no missed event", async ({ cluster }) => {
  const reasons = new Set<string>();
  await create(cluster, "a");
  await reflect(cluster, { stallMs: 700, onRestart: (reason) => reasons.add(reason) }).synced;
  for (let round = 0; round < 3; round += 1) {
    proxy.cut();
    await create(cluster, `cut-${round}`);
    await expectSame(cluster);
    proxy.freeze("existing");
    await create(cluster, `silent-${round}`);
    if (round > 0) await remove(cluster, `cut-${round - 1}`);
    await expectSame(cluster);
  }
  expect(reasons).toContain("silent");
});
