/*
 * The API server limits how fast ApiTokens can become Ready. So the controller is compared with its own writes, sent
 * without it.
 */
import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { addFinalizer, apiTokensPath, writeStatus } from "../../src/kube/resources/api-token-api.ts";
import type { Secret } from "../../src/kube/resources/secret.ts";
import { createSecret } from "../../src/kube/resources/secret-api.ts";
import type { KubeTransport } from "../../src/kube/transport.ts";
import type { ApiTokenStatus } from "../../src/token/model.ts";
import { eventually } from "../support/eventually.ts";
import { type Figures, median, time } from "./figures.ts";
import { type BenchStage, runMany, startBenchStage } from "./stage.ts";

const COUNT = 1_000;
const ROUNDS = 8;
const CONCURRENCIES = [8, 16, 32];

/**
 * The time until 1,000 new ApiTokens are Ready and their Events written, divided by that of the same five API writes sent
 * bare for other objects: creation, finalizer, Secret, status, Event. Bare uses the concurrency with the best median.
 */
export async function benchCreate(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    const controller = await stage.startController();
    await createAndWait(stage, "warm-up", 100); // until both sides' connections, caches and code are warm
    const sample = await readSample(stage.transport, "warm-up-0");
    await sendBare(stage.transport, sample, "warm-up", 100, 16);
    const ours: number[] = [];
    const bare = CONCURRENCIES.map((): number[] => []);
    const ways = [
      async (round: number) => {
        ours.push(await time(() => createAndWait(stage, `round-${round}`, COUNT)));
        await expectAllReady(stage.transport);
      },
      ...CONCURRENCIES.map((concurrency, index) => async (round: number) => {
        const prefix = `bare-${round}-${concurrency}`;
        bare[index]?.push(await time(() => sendBare(stage.transport, sample, prefix, COUNT, concurrency)));
      }),
    ];
    for (let round = 0; round < ROUNDS; round += 1) {
      // In a different order each time, because the servers still work on what ran before.
      for (const turn of ways.keys()) await ways[(round + turn) % ways.length]?.(round);
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
  // Asking costs the API server time, and only this side asks, so it asks often only towards the end.
  for (const [part, intervalMs] of [
    [0.95, 150],
    [1, 25],
  ] as const) {
    const wanted = eventsBefore + part * count;
    await eventually(async () => (await countItems(transport, EVENTS)) >= wanted, { timeoutMs: 300_000, intervalMs });
  }
}

async function expectAllReady(transport: KubeTransport): Promise<void> {
  const { items } = await transport.request<{ items: ApiToken[] }>("GET", apiTokensPath("watched"));
  const ready = items.filter(({ status }) =>
    status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
  );
  if (ready.length !== items.length) throw new Error(`only ${ready.length} of ${items.length} ApiTokens are Ready`);
}

const EVENTS = "/apis/events.k8s.io/v1/namespaces/watched/events";

/** How many objects a collection has, without reading them. The Event comes after the status, so it counts what is done. */
async function countItems(transport: KubeTransport, path: string): Promise<number> {
  const list = await transport.request<{ items: unknown[]; metadata: { remainingItemCount?: number } }>("GET", path, {
    query: { limit: "1" },
  });
  return list.items.length + (list.metadata.remainingItemCount ?? 0);
}

/** What the controller has written for one ApiToken; the bare writes are the same, field by field. */
interface Sample {
  readonly status: ApiTokenStatus;
  readonly secret: Secret;
  readonly event: Record<string, unknown>;
}

async function readSample(transport: KubeTransport, name: string): Promise<Sample> {
  const { status = {} } = await transport.request<ApiToken>("GET", `${apiTokensPath("watched")}/${name}`);
  const secret = await transport.request<Secret>("GET", `/api/v1/namespaces/watched/secrets/${name}`);
  const { items } = await transport.request<{ items: { regarding?: { name?: string } }[] }>("GET", EVENTS);
  const event = items.find(({ regarding }) => regarding?.name === name);
  if (event === undefined) throw new Error(`there is no Event of ${name}`);
  return { status, secret, event };
}

async function sendBare(
  transport: KubeTransport,
  { status, secret, event }: Sample,
  prefix: string,
  count: number,
  concurrency: number,
): Promise<void> {
  const { labels = {}, annotations = {} } = secret.metadata;
  const values = Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
  await runMany(count, concurrency, async (index) => {
    const body = anApiToken("bare", prefix, index);
    const created = await transport.request<ApiToken>("POST", apiTokensPath("bare"), { body });
    const finalized = await addFinalizer(transport, created);
    const { name, uid } = created.metadata;
    const owner = {
      apiVersion: body.apiVersion,
      kind: body.kind,
      name,
      uid,
      controller: true,
      blockOwnerDeletion: false,
    };
    await createSecret(transport, { namespace: "bare", name, owner, decoration: { labels, annotations }, values });
    await writeStatus(transport, finalized, status);
    await transport.request("POST", EVENTS.replace("watched", "bare"), {
      body: {
        ...event,
        metadata: { namespace: "bare", name: `${name}.event` },
        regarding: { ...(event.regarding as object), namespace: "bare", name, uid },
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
