import { expect } from "vitest";
import { createTransport, type KubeTransport } from "../../../src/kube/transport.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

let proxy: TcpProxy;
let transport: KubeTransport;
let path: string;

test.beforeAll(async ({ cluster }) => {
  path = `/api/v1/namespaces/${cluster.namespace}/configmaps`;
});

test.beforeEach(async ({ cluster }) => {
  proxy = await startTcpProxy(cluster.kubeconfigPath);
  const { kubeconfigPath } = proxy;
  transport = await createTransport({ userAgent: "apitoken-test", kubeconfigPath, requestTimeoutMs: 1_000 });
});

test.afterEach(async () => {
  await transport.close();
  await proxy.close();
});

test("hundreds of calls at once share at most 32 connections", async () => {
  const calls = Array.from({ length: 300 }, () => transport.request("GET", path, { timeoutMs: 30_000 }));
  await Promise.all(calls);
  expect(proxy.total).toBeLessThanOrEqual(32);
  expect(proxy.total).toBeGreaterThan(1);
});

test("errors carry the server's code, reason and message", async () => {
  const body = { metadata: { name: "one" } };
  await transport.request("POST", path, { body });
  await expect(transport.request("POST", path, { body })).rejects.toMatchObject({ code: 409, reason: "AlreadyExists" });
  await expect(transport.request("GET", `${path}/none`)).rejects.toMatchObject({ code: 404, reason: "NotFound" });
  const bad = { metadata: { name: "Not_A_Name" } };
  await expect(transport.request("POST", path, { body: bad })).rejects.toThrow(/422 Invalid: .*metadata.name/);
});

test("after a network has swallowed connections, only one call fails", async () => {
  const callAtOnce = () => Promise.allSettled(Array.from({ length: 4 }, () => transport.request("GET", path)));
  await callAtOnce();
  proxy.freeze("existing");
  await eventually(async () => (await callAtOnce()).some(({ status }) => status === "rejected"));
  expect((await callAtOnce()).map(({ status }) => status)).toEqual(Array(4).fill("fulfilled"));
});

test("a watch sees what happens from its version on, and the server's end of it", async () => {
  const { metadata } = await transport.request<{ metadata: { resourceVersion: string } }>("GET", path);
  await transport.request("POST", path, { body: { metadata: { name: "watched" } } });
  await transport.request("DELETE", `${path}/watched`);
  const query = { resourceVersion: metadata.resourceVersion, timeoutSeconds: "1" };
  const seen: string[] = [];
  const { signal } = new AbortController();
  for await (const event of transport.watch<{ type: string; object: { metadata: { name: string } } }>(path, query, {
    signal,
    stallMs: 10_000,
  })) {
    seen.push(`${event.type} ${event.object.metadata.name}`);
  }
  expect(seen).toEqual(["ADDED watched", "DELETED watched"]);
});

test("closing ends everything", async () => {
  await transport.request("GET", path);
  const watching = (async () => {
    const { signal } = new AbortController();
    for await (const _ of transport.watch(path, {}, { signal, stallMs: 60_000 }));
  })();
  await eventually(() => proxy.open >= 2);
  const ended = expect(watching).rejects.toThrow("broke off");
  await transport.close();
  await ended;
  await eventually(() => proxy.open === 0);
});
