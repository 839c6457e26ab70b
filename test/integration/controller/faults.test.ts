import { expect, test } from "vitest";
import { conditionOf, readToken } from "../../support/cluster.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createFaultyWorld, type FaultyWorld, watchBystanders } from "../../support/faulty-world.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

interface Scenario {
  readonly sentence: string;
  /** Begins the fault. */
  readonly begin: (world: FaultyWorld) => void | Promise<void>;
  /** Resolves when the fault has had its full effect. */
  readonly untilFelt: (world: FaultyWorld) => Promise<unknown>;
}

const SCENARIOS: readonly Scenario[] = [
  {
    sentence: "Postgres refuses connections",
    begin: ({ database }) => database.setMode({ kind: "refuse" }),
    untilFelt: ({ cluster }) => untilReason(cluster, "applied", "DatabaseUnavailable"),
  },
  {
    sentence: "Postgres is gone for 30 seconds",
    begin: ({ database }) => database.setMode({ kind: "refuse" }),
    untilFelt: async ({ cluster }) => {
      await untilReason(cluster, "applied", "DatabaseUnavailable");
      await untilPassed(30_000);
    },
  },
  {
    sentence: "Postgres is slow by 2 seconds",
    begin: ({ database }) => database.setMode({ kind: "delay", ms: 2_000 }),
    untilFelt: ({ database }) => untilAtLeast(10, () => database.faults),
  },
  {
    sentence: "Postgres' connections are reset in mid-transaction, for any of its answers",
    begin: ({ database }) => database.setMode({ kind: "truncate", bytes: 2_000 }),
    untilFelt: ({ database }) => untilAtLeast(10, () => database.faults),
  },
  {
    sentence: "Postgres goes silent",
    begin: ({ database }) => database.setMode({ kind: "stall" }),
    untilFelt: ({ cluster }) => untilReason(cluster, "applied", "DatabaseUnavailable", 30_000),
  },
  {
    sentence: "the API server refuses connections",
    begin: ({ network }) => network.setMode({ kind: "refuse" }),
    untilFelt: untilDeposed,
  },
  {
    sentence: "connections to the API server are reset, over and over",
    begin: ({ network }) => network.setMode({ kind: "truncate", bytes: 6_000 }),
    untilFelt: ({ network }) => untilAtLeast(20, () => network.faults),
  },
  {
    sentence: "the API server goes silent",
    begin: ({ network }) => network.setMode({ kind: "stall" }),
    untilFelt: untilDeposed,
  },
  {
    sentence: "the API server answers 429 with Retry-After to every call",
    begin: ({ api }) => {
      api.play(["all", { kind: "status", code: 429, retryAfterSeconds: 1 }]);
      api.endWatches();
    },
    untilFelt: ({ api }) => untilAtLeast(30, () => api.faults),
  },
  {
    sentence: "the API server answers 500 to every call",
    begin: ({ api }) => api.play(["all", { kind: "status", code: 500 }]),
    untilFelt: untilDeposed,
  },
  {
    sentence: "watches have expired (410)",
    begin: ({ api }) => {
      api.play(["watches", { kind: "expired" }]);
      api.endWatches();
    },
    untilFelt: ({ api }) => untilAtLeast(10, () => api.faults),
  },
  {
    sentence: "watches have expired, and lists are answered with 500",
    begin: ({ api }) => {
      api.play(["watches", { kind: "expired" }], ["lists", { kind: "status", code: 500 }]);
      api.endWatches();
    },
    untilFelt: ({ api }) => untilAtLeast(15, () => api.faults),
  },
  {
    sentence: "watches have expired, and lists come empty",
    begin: ({ api }) => {
      api.play(["watches", { kind: "expired" }], ["lists", { kind: "empty list" }]);
      api.endWatches();
    },
    untilFelt: ({ api }) => untilAtLeast(15, () => api.faults),
  },
  {
    sentence: "watches break off in the middle of a line",
    begin: ({ api }) => api.play(["watches", { kind: "truncated" }]),
    untilFelt: ({ api }) => untilAtLeast(3, () => api.faults),
  },
];

test.concurrent.each(SCENARIOS)(
  "$sentence: nothing is ended by mistake, and everything heals without a restart",
  async ({ begin, untilFelt }) => {
    const world = await createFaultyWorld();
    try {
      const { cluster, databaseUrl } = world;
      const bystanders = await watchBystanders(world);
      const before = {
        changed: await issueToken(cluster, "changed"),
        rotated: await issueToken(cluster, "rotated"),
        deleted: await issueToken(cluster, "deleted"),
      };
      await eventually(() => isIdle(world.controller));

      await begin(world);
      await Promise.all([
        cluster.apply("applied", { owner: "alice" }),
        cluster.patch("changed", { scopes: ["orders:read"] }),
        cluster.annotate("rotated", { "apitoken.dev/rotate-requested-at": "2026-01-01T00:00:00Z" }),
        cluster.delete("deleted"),
      ]);
      await untilFelt(world);
      await Promise.all([world.database.setMode({ kind: "pass" }), world.network.setMode({ kind: "pass" })]);
      world.api.play();

      await expectHealed(world, before);
      await world.untilNothingIsWritten();
      await bystanders.stop();
      expect(await verifies(cluster, databaseUrl, before.deleted)).toBe(false);
    } finally {
      await world.close();
    }
  },
  180_000,
);

/** Everything requested during the fault is done and in the statuses, with no more tokens than requested. */
async function expectHealed(world: FaultyWorld, before: { changed: string; rotated: string; deleted: string }) {
  const { cluster, databaseUrl } = world;
  const patience = 60_000; // a list that came empty is read again after half a minute
  await untilReady(cluster, "applied", patience);
  expect(await findRows(databaseUrl, "applied")).toMatchObject([{ is_live: true, revision: 1 }]);
  expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("applied")))).toBe(true);

  await eventually(
    async () => {
      expect(await findRows(databaseUrl, "changed")).toMatchObject([{ is_live: true, scopes: ["orders:read"] }]);
      expect((await cluster.get("changed"))?.status).toMatchObject({ effective: { scopes: ["orders:read"] } });
    },
    { timeoutMs: patience },
  );
  expect(readToken(await cluster.getSecret("changed"))).toBe(before.changed);

  await eventually(
    async () =>
      expect((await cluster.get("rotated"))?.status).toMatchObject({
        revision: 2,
        lastHandledRotateAt: "2026-01-01T00:00:00Z",
        previous: { tokenId: expect.any(String) },
      }),
    { timeoutMs: patience },
  );
  const [previous, current, ...others] = await findRows(databaseUrl, "rotated");
  expect(others).toEqual([]);
  expect(previous).toMatchObject({ is_live: true, revoked_at: expect.any(Date) });
  expect(current).toMatchObject({ is_live: true, revoked_at: null });
  expect(await verifies(cluster, databaseUrl, before.rotated)).toBe(true);
  expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("rotated")))).toBe(true);

  await eventually(async () => expect(await cluster.get("deleted")).toBeUndefined(), { timeoutMs: patience });
  expect(await cluster.getSecret("deleted")).toBeUndefined();
  expect(await findRows(databaseUrl, "deleted")).toMatchObject([
    { is_live: false, revocation_reason: "ResourceDeleted" },
  ]);

  for (const name of ["applied", "changed", "rotated"]) {
    const resource = await cluster.get(name);
    expect(conditionOf(resource, "Ready")).toMatchObject({ status: "True" });
    expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
    expect(resource?.status).not.toHaveProperty("failedAttempts");
  }
}

/** Waits until the controller has lost its lease. */
function untilDeposed({ controller }: FaultyWorld): Promise<unknown> {
  return eventually(async () => expect(await readMetric(controller, "apitoken_leading")).toBe(0));
}

function untilAtLeast(count: number, read: () => number): Promise<unknown> {
  return eventually(() => expect(read()).toBeGreaterThanOrEqual(count), { timeoutMs: 30_000 });
}

function untilPassed(ms: number): Promise<unknown> {
  const endsAtMs = performance.now() + ms;
  return eventually(() => performance.now() >= endsAtMs, { timeoutMs: 2 * ms, intervalMs: 250 });
}
