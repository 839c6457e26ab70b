import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { addFinalizer, apiTokensPath, writeStatus } from "../../src/kube/resources/api-token-api.ts";
import { createSecret } from "../../src/kube/resources/secret-api.ts";
import type { KubeTransport } from "../../src/kube/transport.ts";
import { eventually } from "../support/eventually.ts";
import { type Figures, median, time } from "./figures.ts";
import { type BenchStage, runMany, startBenchStage } from "./stage.ts";

const COUNT = 1_000;
const ROUNDS = 5;
const CONCURRENCIES = [8, 16, 32];

/**
 * 1,000 new ApiTokens until all are Ready and their Events written, over the same five API writes for other objects sent
 * bare: creation, finalizer, Secret, status, Event. Bare is the concurrency that is best by the median of its rounds.
 */
export async function benchCreate(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    const controller = await stage.startController();
    await createAndWait(stage, "warm-up", 100); // until both sides' connections, caches and code are warm
    await sendBare(stage.transport, "warm-up", 100, 16);
    const ours: number[] = [];
    const bare = CONCURRENCIES.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, concurrency] of CONCURRENCIES.entries()) {
        bare[index]?.push(
          await time(() => sendBare(stage.transport, `bare-${round}-${concurrency}`, COUNT, concurrency)),
        );
      }
      ours.push(await time(() => createAndWait(stage, `round-${round}`, COUNT)));
      await expectAllReady(stage.transport);
      const times = bare.map((each) => formatSeconds(each.at(-1))).join(" / ");
      tell(`round ${round + 1}: ${formatSeconds(ours.at(-1))} s, bare ${times} s`);
    }
    await controller.stop();
    return {
      create_seconds: median(ours) / 1_000,
      create_bare_seconds: Math.min(...bare.map(median)) / 1_000,
      create_over_bare: median(ours) / Math.min(...bare.map(median)),
    };
  } finally {
    await stage.stop();
  }
}

function formatSeconds(ms = Number.NaN): string {
  return (ms / 1_000).toFixed(2);
}

async function createAndWait({ transport }: BenchStage, prefix: string, count: number): Promise<void> {
  const path = apiTokensPath("watched");
  const eventsBefore = await countItems(transport, EVENTS);
  await runMany(count, 16, (index) => transport.request("POST", path, { body: anApiToken("watched", prefix, index) }));
  await eventually(async () => (await countItems(transport, EVENTS)) >= eventsBefore + count, {
    timeoutMs: 300_000,
    intervalMs: 150, // asking costs the API server time, and only this side asks
  });
}

async function expectAllReady(transport: KubeTransport): Promise<void> {
  const { items } = await transport.request<{ items: ApiToken[] }>("GET", apiTokensPath("watched"));
  const ready = items.filter(({ status }) =>
    status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
  );
  if (ready.length !== items.length) throw new Error(`only ${ready.length} of ${items.length} ApiTokens are Ready`);
}

const EVENTS = "/apis/events.k8s.io/v1/namespaces/watched/events";

/** How many objects a collection has, without reading them: the Event comes after the status, so it counts what is done. */
async function countItems(transport: KubeTransport, path: string): Promise<number> {
  const list = await transport.request<{ items: unknown[]; metadata: { remainingItemCount?: number } }>("GET", path, {
    query: { limit: "1" },
  });
  return list.items.length + (list.metadata.remainingItemCount ?? 0);
}

async function sendBare(transport: KubeTransport, prefix: string, count: number, concurrency: number): Promise<void> {
  await runMany(count, concurrency, async (index) => {
    const body = anApiToken("bare", prefix, index);
    const created = await transport.request<ApiToken>("POST", apiTokensPath("bare"), { body });
    const finalized = await addFinalizer(transport, created);
    const { name, uid } = created.metadata;
    await createSecret(transport, {
      namespace: "bare",
      name,
      owner: { apiVersion: body.apiVersion, kind: body.kind, name, uid, controller: true },
      decoration: { labels: { bench: "true" }, annotations: { "bench/token-id": "123456789012" } },
      values: { token: "x".repeat(65) },
    });
    await writeStatus(transport, finalized, {
      observedGeneration: 1,
      tokenId: "123456789012",
      revision: 1,
      issuedAt: "2026-01-01T00:00:00Z",
      expiresAt: "2026-01-31T00:00:00Z",
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "Issued",
          message: `Secret "${name}" holds a live token.`,
          observedGeneration: 1,
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    });
    await transport.request("POST", "/apis/events.k8s.io/v1/namespaces/bare/events", {
      body: {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: { namespace: "bare", name: `${name}.event` },
        eventTime: "2026-01-01T00:00:00.000000Z",
        reportingController: "apitoken.dev/bench",
        reportingInstance: "bench",
        type: "Normal",
        reason: "Issued",
        action: "Reconcile",
        note: `Secret "${name}" holds a live token.`,
        regarding: { apiVersion: body.apiVersion, kind: body.kind, namespace: "bare", name, uid },
      },
    });
  });
}

export function anApiToken(namespace: string, prefix: string, index: number) {
  return {
    apiVersion: "apitoken.dev/v1alpha1",
    kind: "ApiToken",
    metadata: { namespace, name: `${prefix}-${index}` },
    spec: { owner: `owner-${index % 100}`, scopes: ["orders:read"] },
  };
}
