import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { exportCleanupMetrics } from "../../../../src/controller/metrics/cleanup.ts";
import type { LeaderFigures } from "../../../../src/controller/metrics/leader-figures.ts";
import { createMetrics } from "../../../../src/controller/metrics/metrics.ts";
import { summarizeTokens } from "../../../../src/controller/metrics/token-summary.ts";
import { createCaches } from "../../../../src/controller/pass/caches.ts";
import type { ApiToken } from "../../../../src/kube/resources/api-token.ts";
import type { Reason } from "../../../../src/token/reasons.ts";
import { formatTime } from "../../../../src/token/status.ts";
import { HOUR_MS, NOW } from "../../../support/builders.ts";

const after = (ms: number) => formatTime(new Date(NOW.getTime() + ms));

/** An ApiToken that has been Ready, or not, for an hour. */
function anApiToken(
  number: number,
  ready?: { status: "True" | "False"; reason: string; since?: number },
  endsInMs?: number,
  renewsInMs?: number,
) {
  const condition = ready && {
    type: "Ready",
    status: ready.status,
    reason: ready.reason as Reason,
    message: "",
    observedGeneration: 1,
    lastTransitionTime: after(ready.since ?? -HOUR_MS),
  };
  return {
    metadata: {
      namespace: "team",
      name: `token-${number}`,
      uid: `uid-${number}`,
      resourceVersion: "1",
      creationTimestamp: after(-2 * HOUR_MS),
    },
    spec: { owner: "alice" },
    status: {
      ...(condition === undefined ? {} : { conditions: [condition] }),
      ...(endsInMs === undefined ? {} : { expiresAt: after(endsInMs) }),
      ...(renewsInMs === undefined ? {} : { renewAt: after(renewsInMs) }),
    },
  } as ApiToken;
}

const FIGURES: LeaderFigures = {
  ownersOver: { "10": 3, "50": 1 },
  endedInUse: { expired: 2, revoked: 0 },
  isFenced: false,
};

const createTestMetrics = (caches = createCaches(), readFigures = (): LeaderFigures | undefined => FIGURES) =>
  createMetrics({
    queueDepth: () => 0,
    busyWorkers: () => 0,
    databaseConnections: () => ({ open: 0, waiting: 0 }),
    caches: () => caches,
    leaderFigures: async () => readFigures(),
  });

test("tokens are counted by state and reason; an unknown reason counts as Other", () => {
  const { states } = summarizeTokens(
    [
      anApiToken(1, { status: "True", reason: "Issued" }),
      anApiToken(2, { status: "True", reason: "Issued" }),
      anApiToken(3, { status: "False", reason: "PolicyMissing" }),
      anApiToken(4, { status: "False", reason: "constructor" }),
      anApiToken(5),
    ],
    NOW,
  );
  expect(states).toEqual([
    { isReady: true, reason: "Issued", count: 2 },
    { isReady: false, reason: "PolicyMissing", count: 1 },
    { isReady: false, reason: "Other", count: 1 },
    { isReady: false, reason: "Pending", count: 1 },
  ]);
});

test("only tokens that are held count as expiring", () => {
  const summary = summarizeTokens(
    [
      anApiToken(1, { status: "True", reason: "Issued" }, 2 * HOUR_MS),
      anApiToken(2, { status: "True", reason: "Rotated" }, 100 * HOUR_MS),
      anApiToken(3, { status: "True", reason: "Issued" }, 700 * HOUR_MS),
      anApiToken(4, { status: "False", reason: "Expired" }, -HOUR_MS),
    ],
    NOW,
  );
  expect(summary.nextExpiryAt).toEqual(new Date(NOW.getTime() + 2 * HOUR_MS));
  expect(summary.expiring).toEqual({ "24h": 1, "7d": 2 });
  expect(summarizeTokens([], NOW).nextExpiryAt).toBeUndefined();
});

test("a held token is due from its renewal time on, and one without a renewal time is not renewed", () => {
  const issued = { status: "True", reason: "Issued" } as const;
  const summary = summarizeTokens(
    [
      anApiToken(1, issued, 2 * HOUR_MS, -HOUR_MS),
      anApiToken(2, { status: "True", reason: "Renewing" }, 3 * HOUR_MS, -2 * HOUR_MS),
      anApiToken(3, issued, HOUR_MS, HOUR_MS / 2),
      anApiToken(4, { status: "False", reason: "Expired" }, -HOUR_MS, -2 * HOUR_MS),
      anApiToken(5, issued, HOUR_MS),
      anApiToken(6, { status: "True", reason: "PolicyMissing" }, 100 * HOUR_MS),
      anApiToken(7, issued, 300 * HOUR_MS),
    ],
    NOW,
  );
  expect(summary.due).toEqual({
    count: 2,
    sinceAt: new Date(NOW.getTime() - 2 * HOUR_MS),
    nextExpiryAt: new Date(NOW.getTime() + 2 * HOUR_MS),
  });
  expect(summary.notRenewed).toEqual([
    { within: "24h", reason: "Issued", count: 1 },
    { within: "7d", reason: "Issued", count: 1 },
    { within: "7d", reason: "PolicyMissing", count: 1 },
  ]);
  expect(summarizeTokens([], NOW).due).toEqual({ count: 0, sinceAt: undefined, nextExpiryAt: undefined });
});

test("an ApiToken that waits counts as unready, one that is meant to be dead does not", () => {
  const revoked = anApiToken(1, { status: "False", reason: "RevokedBySpec", since: -100 * HOUR_MS });
  const waiting = anApiToken(2, { status: "False", reason: "SecretConflict", since: -60_000 });
  expect(summarizeTokens([revoked], NOW).oldestUnreadyMs).toBe(0);
  expect(summarizeTokens([revoked, waiting], NOW).oldestUnreadyMs).toBe(60_000);
  expect(summarizeTokens([revoked, waiting, anApiToken(3)], NOW).oldestUnreadyMs).toBe(2 * HOUR_MS);
});

test("a scrape shows what is cached, and for an empty cache no next expiry", async () => {
  const caches = createCaches();
  const { registry } = createTestMetrics(caches);
  expect(await registry.metrics()).not.toMatch(/^apitoken_next_expiry_timestamp_seconds /m);
  caches.apiTokens.upsert(anApiToken(1, { status: "True", reason: "Issued" }, HOUR_MS));
  const text = await registry.metrics();
  expect(text).toContain('apitoken_tokens{state="ready",reason="Issued"} 1');
  expect(text).toContain(`apitoken_next_expiry_timestamp_seconds ${(NOW.getTime() + HOUR_MS) / 1_000}`);
  expect(text).toContain('apitoken_owners_over{limit="10"} 3');
  caches.apiTokens.remove("team/token-1");
  expect(await registry.metrics()).not.toMatch(/^apitoken_(next_expiry_timestamp_seconds|tokens\{)/m);
});

test("figures that only the leader knows have no samples if they are unknown", async () => {
  const told = await createTestMetrics().registry.metrics();
  expect(told).toContain('apitoken_ended_tokens_in_use{end="expired"} 2');
  expect(told).toMatch(/^apitoken_leader_fenced 0$/m);
  const silent = createTestMetrics(createCaches(), () => undefined);
  expect(await silent.registry.metrics()).not.toMatch(/^apitoken_(owners_over|ended_tokens_in_use|leader_fenced)/m);
});

test("if the cleanup's figures cannot be read, nothing is shown, not even a 0", async () => {
  const registry = new Registry();
  exportCleanupMetrics(registry, { query: () => Promise.reject(new Error("no database")) }, () => {});
  expect(await registry.metrics()).not.toMatch(/^apitoken_/m);
});

/** The median of nine scrapes with this many ApiTokens, in milliseconds. */
async function measureScrape(count: number): Promise<number> {
  const caches = createCaches();
  for (let number = 0; number < count; number += 1) {
    caches.apiTokens.upsert(anApiToken(number, { status: "True", reason: "Issued" }, number * 60_000));
  }
  const { registry } = createTestMetrics(caches);
  const times: number[] = [];
  for (let scrape = 0; scrape < 9; scrape += 1) {
    const startedAtMs = performance.now();
    await registry.metrics();
    times.push(performance.now() - startedAtMs);
  }
  return times.sort((left, right) => left - right)[4] as number;
}

test("a scrape costs no more than in proportion to the number of ApiTokens", async () => {
  const few = await measureScrape(1_000);
  // Ten times as many; a scrape that compared each with each would take a hundred times as long.
  expect((await measureScrape(10_000)) / few).toBeLessThan(40);
});

test("the table of metrics in docs/operations.md matches what is exported", () => {
  const { registry } = createTestMetrics();
  const exported = registry
    .getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; help: string; labelNames: string[] })
    .filter(({ name }) => name.startsWith("apitoken_"))
    .map(({ name, help, labelNames }) => {
      const labels = labelNames.map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${labels} | ${help} |`.replaceAll("  ", " ");
    });
  const docs = readFileSync(new URL("../../../../docs/operations.md", import.meta.url), "utf8");
  const told = docs.split("\n").filter((line) => line.startsWith("| `apitoken_"));
  expect(told.sort()).toEqual(exported.sort());
});
