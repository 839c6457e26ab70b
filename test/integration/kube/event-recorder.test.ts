import { expect } from "vitest";
import { createEventRecorder, type EventRecorder } from "../../../src/kube/event-recorder.ts";
import type { ObjectMeta } from "../../../src/kube/resources/group.ts";
import { createLogger } from "../../../src/runtime/log.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { clusterTest as test } from "../../support/fixtures.ts";

interface KubeEvent {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly reportingController: string;
  readonly regarding: { readonly name: string };
}

let recorder: EventRecorder;
let dropped = 0;

test.beforeAll(async ({ cluster }) => {
  recorder = createEventRecorder({
    transport: cluster.transport,
    controller: "apitoken.dev/controller",
    instance: "test-1",
    log: createLogger("test", "error"),
    onDropped: () => {
      dropped += 1;
    },
  });
});

async function createSubject(cluster: TestCluster, name: string) {
  const { namespace } = cluster;
  const { metadata } = await cluster.transport.request<{ metadata: ObjectMeta }>(
    "POST",
    `/api/v1/namespaces/${namespace}/configmaps`,
    { body: { metadata: { name } } },
  );
  return { apiVersion: "v1", kind: "ConfigMap", namespace, name, uid: metadata.uid };
}

async function findEvents(cluster: TestCluster, name: string): Promise<KubeEvent[]> {
  const path = `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`;
  const { items } = await cluster.transport.request<{ items: KubeEvent[] }>("GET", path);
  return items.filter((event) => event.regarding.name === name);
}

test("Events are written, seen by kubectl describe, and not repeated", async ({ cluster }) => {
  const subject = await createSubject(cluster, "a");
  const note = { type: "Warning", reason: "SecretConflict", action: "WriteSecret", message: "not ours" } as const;
  recorder.record(subject, note);
  recorder.record(subject, note);
  recorder.record(subject, { ...note, message: "still not ours" });
  await recorder.flush();
  expect((await findEvents(cluster, "a")).map((event) => event.note).sort()).toEqual(["not ours", "still not ours"]);
  expect((await findEvents(cluster, "a"))[0]).toMatchObject({
    type: "Warning",
    reportingController: "apitoken.dev/controller",
  });
  const { output } = await cluster.kubectl(["describe", "configmap", "a"]);
  expect(output).toMatch(/Warning\s+SecretConflict\s+\S*\s+apitoken.dev\/controller\s+not ours/);
});

test("the longest names and messages are accepted, cut between characters", async ({ cluster }) => {
  const subject = await createSubject(cluster, `${"n".repeat(199)}.${"n".repeat(53)}`);
  recorder.record(subject, { type: "Normal", reason: "Issued", action: "Issue", message: "ä€😀".repeat(300) });
  await recorder.flush();
  const [event] = await findEvents(cluster, subject.name);
  expect(event?.note).toMatch(/^(ä€😀)+ä?€?$/);
  expect(Buffer.byteLength(event?.note ?? "")).toBeGreaterThan(1_020);
  expect(dropped).toBe(0);
});
