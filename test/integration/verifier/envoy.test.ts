/*
 * The examples for Envoy, over HTTP and over gRPC, in the real Envoy before a real verifier: every case of the table, and what happens
 * when verifiers come and go.
 */
import { test as base, describe, expect } from "vitest";
import { findFreePorts } from "../../../local/processes.ts";
import { findGatewayTools } from "../../../local/setup/gateway-tools.mjs";
import { eventually } from "../../support/eventually.ts";
import { type RunningEnvoy, startEnvoy } from "../../support/verifier/envoy-example.ts";
import { GATEWAY_CASES, TWO_AN_HOUR } from "../../support/verifier/gateway-cases.ts";
import {
  askGateway,
  checkGatewayCase,
  type GatewayWorld,
  startGatewayWorld,
} from "../../support/verifier/gateway-world.ts";

const { envoy: program = "" } = findGatewayTools();

// biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
const test = base.extend("world", { scope: "file" }, async ({}, { onCleanup }) => {
  const world = await startGatewayWorld();
  onCleanup(() => world.stop());
  return world;
});

const portsOf = ({ app, verifier }: GatewayWorld) => ({
  app: app.port,
  verifier: { 8181: verifier.gatewayPort, 8183: verifier.grpcPort },
});

const bearer = ({ plaintext }: { readonly plaintext: string }) => ["Authorization", `Bearer ${plaintext}`];

for (const [way, example] of [
  ["HTTP", "envoy-http.yaml"],
  ["gRPC", "envoy-grpc.yaml"],
] as const) {
  const withEnvoy = test.extend("envoy", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const envoy = await startEnvoy(program, example, portsOf(world));
    onCleanup(() => envoy.stop());
    return envoy;
  });

  describe.skipIf(program === "")(`Envoy that asks over ${way}`, () => {
    withEnvoy.for(GATEWAY_CASES)("$title", async (kase, { world, envoy }) => {
      await checkGatewayCase(world, envoy.url, kase);
    });

    withEnvoy("a path that climbs out of a route that needs no scope needs the scope", async ({ world, envoy }) => {
      const token = await world.issue("scopes = '{orders:write}'");
      for (const path of ["/profile/../orders", "/profile/%2e%2e/orders", "//profile/../orders", "/./orders"]) {
        const answer = await askGateway(world, envoy.url, { path, headers: bearer(token) });
        expect([path, answer.status, answer.seen]).toEqual([path, 403, undefined]);
      }
      const encoded = await askGateway(world, envoy.url, { path: "/profile/..%2forders", headers: bearer(token) });
      expect([encoded.status, encoded.seen]).toEqual([400, undefined]);
    });

    withEnvoy("a client learns how much of its rate limit is left, if it has one", async ({ world, envoy }) => {
      const ask = async (changes?: string) =>
        (await askGateway(world, envoy.url, { headers: bearer(await world.issue(changes)) })).headers;
      expect(await ask(TWO_AN_HOUR)).toMatchObject({
        "ratelimit-policy": '"token";q=2;w=3600',
        ratelimit: '"token";r=1;t=1800',
      });
      expect(await ask()).not.toHaveProperty("ratelimit");
    });

    test("nothing passes while no verifier can be reached", async ({ world }) => {
      const [nowhere] = (await findFreePorts(1)) as [number];
      const verifier = { 8181: nowhere, 8183: nowhere };
      const envoy = await startEnvoy(program, example, { ...portsOf(world), verifier });
      try {
        const answer = await askGateway(world, envoy.url, { headers: bearer(await world.issue()) });
        expect([answer.status, answer.headers["retry-after"], answer.seen]).toEqual([503, "1", undefined]);
      } finally {
        await envoy.stop();
      }
    });

    test("a verifier that stops loses no request while it drains", async () => {
      const world = await startGatewayWorld({ APITOKEN_VERIFIER_DRAIN: "3s" });
      const envoy = await startEnvoy(program, example, portsOf(world));
      try {
        const headers = bearer(await world.issue());
        const statuses = await statusesWhileStopping(world, envoy, headers);
        expect(statuses.length).toBeGreaterThan(50);
        expect(new Set(statuses)).toEqual(new Set([200]));
      } finally {
        await envoy.stop();
        await world.stop();
      }
    });
  });
}

/** Asks over and over, from before the verifier is stopped until shortly before it ends. */
async function statusesWhileStopping(
  world: GatewayWorld,
  { url }: RunningEnvoy,
  headers: readonly string[],
): Promise<number[]> {
  const statuses: number[] = [];
  const ask = async () => void statuses.push((await askGateway(world, url, { headers })).status);
  await eventually(async () => expect((await askGateway(world, url, { headers })).status).toBe(200));
  const stopped = world.verifier.stop();
  const endsAtMs = performance.now() + 2_000;
  while (performance.now() < endsAtMs) await Promise.all([ask(), ask(), ask()]);
  await stopped;
  return statuses;
}

test.skipIf(program === "")("over gRPC, Envoy's access log has the owner and the token's id", async ({ world }) => {
  const envoy = await startEnvoy(program, "envoy-grpc.yaml", portsOf(world));
  try {
    const token = await world.issue();
    await askGateway(world, envoy.url, { path: "/orders?mine", headers: bearer(token) });
    await eventually(() => expect(envoy.log()).toContain('"path":"/orders?mine"'), { timeoutMs: 15_000 });
    const line = envoy
      .log()
      .split("\n")
      .find((text) => text.includes("/orders?mine"));
    expect(JSON.parse(line ?? "")).toEqual({ path: "/orders?mine", status: 200, owner: "alice", token: token.id });
    expect(envoy.log()).not.toContain(token.plaintext);
  } finally {
    await envoy.stop();
  }
});

test.skipIf(program === "")("over gRPC, the application gets no token where the route says so", async ({ world }) => {
  const envoy = await startEnvoy(program, "envoy-grpc.yaml", portsOf(world));
  try {
    const { seen } = await askGateway(world, envoy.url, { headers: bearer(await world.issue()) });
    expect(seen?.rawHeaders.map((name) => name.toLowerCase())).not.toContain("authorization");
  } finally {
    await envoy.stop();
  }
});
