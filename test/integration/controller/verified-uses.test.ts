import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { readMetric } from "../../support/controllers.ts";
import { findRows, readKeyring } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReason } from "../../support/resources.ts";
import { startTestVerifier } from "../../support/verifier.ts";

/* What a verifier sees of tokens reaches their ApiTokens: with the real verifier and the real controller. */

/** Shows these tokens to a verifier as a gateway would, and lets it report that. Returns its answers. */
async function showTokens(cluster: TestCluster, url: string, tokens: readonly string[]): Promise<number[]> {
  const verifier = await startTestVerifier({ url, keyring: await readKeyring(cluster) });
  const statuses: number[] = [];
  try {
    await verifier.ready;
    for (const token of tokens) {
      const headers = { authorization: `Bearer ${token}` };
      statuses.push((await fetch(`${verifier.gatewayUrl}/verify`, { headers })).status);
    }
  } finally {
    await verifier.stop();
  }
  return statuses;
}

/** Uses are taken over every half minute. */
const SOON = { timeoutMs: 45_000 };

const statusOf = async (cluster: TestCluster, name: string) => (await cluster.get(name))?.status;

test("the status names the first use of a token within a minute", async ({ cluster, databaseUrl }) => {
  const token = await issueToken(cluster, "used", { owner: "alice" });
  expect((await statusOf(cluster, "used"))?.lastUsedAt).toBeUndefined();
  expect(await showTokens(cluster, databaseUrl, [token])).toEqual([200]);
  await eventually(async () => expect((await statusOf(cluster, "used"))?.lastUsedAt).toBeDefined(), SOON);
}, 60_000);

test("the status shows that somebody still uses the previous token in its overlap", async ({
  cluster,
  databaseUrl,
}) => {
  const previous = await issueToken(cluster, "rotated", { owner: "alice", rotation: { overlap: "1h" } });
  await cluster.annotate("rotated", { "apitoken.dev/rotate-requested-at": "1" });
  await untilReason(cluster, "rotated", "Rotated");
  const tokenId = previous.slice(4, 16);
  expect((await statusOf(cluster, "rotated"))?.previous).toEqual({ tokenId, validUntil: expect.anything() });
  expect(await showTokens(cluster, databaseUrl, [previous])).toEqual([200]);
  await eventually(
    async () =>
      expect((await statusOf(cluster, "rotated"))?.previous).toMatchObject({ tokenId, lastUsedAt: expect.anything() }),
    SOON,
  );
}, 60_000);

test("inactivity ends the token that no verifier has seen, and not the one that is in use", async ({
  cluster,
  databaseUrl,
}) => {
  const used = await issueToken(cluster, "active", { owner: "alice", inactivityTimeout: "240h" });
  await issueToken(cluster, "idle", { owner: "alice", inactivityTimeout: "240h" });
  await runAsSuperuser(
    databaseUrl,
    `update apitoken.tokens set issued_at = issued_at - interval '239 hours 58 minutes',
       active_since = active_since - interval '239 hours 58 minutes'
     where name in ('active', 'idle')`,
  );
  expect(await showTokens(cluster, databaseUrl, [used])).toEqual([200]);
  await runAsSuperuser(
    databaseUrl,
    "update apitoken.tokens set active_since = active_since - interval '1 hour' where name in ('active', 'idle')",
  );
  for (const name of ["active", "idle"]) await cluster.patch(name, { description: "look again" });
  await untilReason(cluster, "idle", "Inactive");
  expect(await findRows(databaseUrl, "idle")).toMatchObject([{ is_live: false, revocation_reason: "Inactive" }]);
  await eventually(async () => expect((await statusOf(cluster, "active"))?.lastUsedAt).toBeDefined(), SOON);
  expect(await findRows(databaseUrl, "active")).toMatchObject([{ is_live: true, revision: 1 }]);
  expect(await showTokens(cluster, databaseUrl, [used])).toEqual([200]);
}, 90_000);

test("tokens that a verifier sees after their end are counted for the alerts, by how they had ended", async ({
  cluster,
  controller,
  databaseUrl,
}) => {
  const revoked = await issueToken(cluster, "taken-away", { owner: "alice" });
  const expired = await issueToken(cluster, "brief", {
    owner: "alice",
    duration: "10s",
    rotation: { policy: "Disabled" },
  });
  await cluster.patch("taken-away", { revoked: true });
  await untilReason(cluster, "taken-away", "RevokedBySpec");
  await untilReason(cluster, "brief", "Expired");
  expect(await showTokens(cluster, databaseUrl, [revoked, expired])).toEqual([401, 401]);
  await eventually(
    async () => expect(await runAsSuperuser(databaseUrl, "select from apitoken.token_uses")).toEqual([]),
    SOON,
  );
  await controller.restart(); // which asks the database at its first scrape, and then once a minute
  for (const end of ["revoked", "expired"]) {
    await eventually(async () =>
      expect(await readMetric(controller, `apitoken_ended_tokens_in_use{end="${end}"}`)).toBe(1),
    );
  }
}, 120_000);

test("what is unusual about a token's uses causes an Event on its ApiToken, and nothing else", async ({
  cluster,
  databaseUrl,
}) => {
  const token = await issueToken(cluster, "watched", { owner: "alice" });
  const verifier = await startTestVerifier({
    url: databaseUrl,
    keyring: await readKeyring(cluster),
    settings: {
      APITOKEN_VERIFIER_LEARNING: "1s",
      APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.1/32",
      APITOKEN_VERIFIER_POD_NETWORKS: "10.0.0.0/8",
    },
  });
  const use = async (address: string) => {
    const headers = { authorization: `Bearer ${token}`, "x-forwarded-for": address };
    expect((await fetch(`${verifier.gatewayUrl}/verify`, { headers })).status).toBe(200);
  };
  const count = (kind: string) =>
    readMetric({ port: verifier.httpPort }, `apitoken_verifier_anomalies_total{kind="${kind}"}`);
  try {
    await verifier.ready;
    let network = 0;
    await use("198.51.100.1");
    await eventually(async () => {
      network += 1;
      await use(`198.51.${network % 100}.1`);
      expect(await count("NewNetwork")).toBe(1);
    });
    for (let host = 1; host <= 20; host += 1) await use(`198.51.${network % 100}.${host}`);
    expect(await count("ManyAddresses")).toBe(1);
    for (let host = 1; host <= 20; host += 1) await use(`10.${host}.0.1`);
    expect(await count("NewNetwork")).toBe(1);
  } finally {
    await verifier.stop();
  }
  const eventReasons = async () => {
    const path = `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`;
    const { items } = await cluster.transport.request<{ items: { regarding?: { name?: string }; reason?: string }[] }>(
      "GET",
      path,
    );
    return items.filter(({ regarding }) => regarding?.name === "watched").map(({ reason }) => reason);
  };
  await eventually(async () => {
    const reasons = await eventReasons();
    expect(reasons.filter((reason) => reason === "NewNetwork")).toHaveLength(1);
    expect(reasons.filter((reason) => reason === "ManyAddresses")).toHaveLength(1);
  }, SOON);
  const events = "select reason from apitoken.security_events where event = 'UnusualUse' order by reason";
  expect(await runAsSuperuser(databaseUrl, events)).toEqual([{ reason: "ManyAddresses" }, { reason: "NewNetwork" }]);
  expect(await findRows(databaseUrl, "watched")).toMatchObject([{ is_live: true, revision: 1 }]);
}, 90_000);
