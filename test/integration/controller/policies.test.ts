import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { NO_POLICY_LABEL } from "../../support/global-setup.ts";
import { issueToken, untilNextIsNewer, untilReady, untilReason } from "../../support/resources.ts";

const statusOf = async (cluster: TestCluster, name: string) => (await cluster.get(name))?.status;
const liveRows = async (databaseUrl: string) =>
  runAsSuperuser<{ owner: string; name: string }>(
    databaseUrl,
    "select owner, name from apitoken.tokens where apitoken.is_live(tokens, now())",
  );

async function labelNamespace(cluster: TestCluster, labels: Readonly<Record<string, string | null>>): Promise<void> {
  await cluster.transport.request("PATCH", `/api/v1/namespaces/${cluster.namespace}`, {
    contentType: "application/merge-patch+json",
    body: { metadata: { labels } },
  });
}

describe("a policy", () => {
  test("decides the lifetime, and its name is in the status", async ({ cluster, resources }) => {
    await resources.applyPolicy("short", { defaultDuration: "24h", maxDuration: "48h", maxTokensPerOwner: 10 });
    await issueToken(cluster, "default-life", { owner: "alice" });
    await issueToken(cluster, "clamped-life", { owner: "alice", duration: "72h" });
    expect(await statusOf(cluster, "default-life")).toMatchObject({
      policy: `${cluster.namespace}-short`,
      effective: { duration: "24h" },
    });
    expect((await statusOf(cluster, "clamped-life"))?.effective?.duration).toBe("48h");
    expect(conditionOf(await cluster.get("clamped-life"), "LifetimeClamped")?.message).toContain("48h");
  });

  test("that is made stricter shortens live tokens at once", async ({ cluster, resources }) => {
    await issueToken(cluster, "shortened", { owner: "bob" });
    await resources.applyPolicy("stricter", { defaultDuration: "1h", maxDuration: "1h", maxTokensPerOwner: 10 });
    await eventually(async () => expect((await statusOf(cluster, "shortened"))?.effective?.duration).toBe("1h"));
  });

  test.for<[string, object, string]>([
    [
      "owner",
      { owners: ["${namespace}", "${namespace}/*"], maxTokensPerOwner: 10 },
      'owner "carol" is not among its owners',
    ],
    ["scope", { scopes: ["orders:*"], maxTokensPerOwner: 10 }, 'scope "admin:all" is not among its scopes'],
  ])(
    "that forbids the %s revokes the token, says by which rule, and gives one back once it allows it",
    async ([what, spec, message], { cluster, databaseUrl, resources }) => {
      const name = `denied-${what}`;
      const token = await issueToken(cluster, name, { owner: "carol", scopes: ["orders:read", "admin:all"] });
      await resources.applyPolicy("forbids", spec);
      await untilReason(cluster, name, "PolicyDenied");
      expect(conditionOf(await cluster.get(name), "Ready")?.message).toContain(message);
      expect(await verifies(cluster, databaseUrl, token)).toBe(false);
      expect(await cluster.getSecret(name)).toBeUndefined();
      expect((await findRows(databaseUrl, name))[0]?.revocation_reason).toBe("PolicyDenied");
      await resources.deletePolicy("forbids");
      await untilReady(cluster, name);
      expect((await statusOf(cluster, name))?.revision).toBe(2);
    },
  );

  test("that is missing lets live tokens keep working, but nothing new is issued", async ({ cluster, databaseUrl }) => {
    const token = await issueToken(cluster, "kept", { owner: "dave" });
    await labelNamespace(cluster, { [NO_POLICY_LABEL]: "true" });
    await untilReason(cluster, "kept", "PolicyMissing");
    expect(conditionOf(await cluster.get("kept"), "Ready")?.status).toBe("True");
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    await cluster.annotate("kept", { "apitoken.dev/rotate-requested-at": "now" });
    await cluster.apply("not-issued", { owner: "dave" });
    await untilReason(cluster, "not-issued", "PolicyMissing");
    expect(await findRows(databaseUrl, "not-issued")).toEqual([]);
    expect(await findRows(databaseUrl, "kept")).toHaveLength(1);
    await labelNamespace(cluster, { [NO_POLICY_LABEL]: null });
    await untilReady(cluster, "not-issued");
    await eventually(async () => expect((await statusOf(cluster, "kept"))?.revision).toBe(2));
  });

  test("with grace has an expired token accepted for a while, for its grace scopes only", async ({
    cluster,
    databaseUrl,
    controller,
    resources,
  }) => {
    await resources.applyPolicy("grace", { grace: { period: "1h", scopes: ["jobs:read"] } });
    const spec = { scopes: ["jobs:read", "jobs:start"], rotation: { policy: "Disabled" } };
    const tokens = [];
    for (const name of ["in-grace", "after-grace"])
      tokens.push(await issueToken(cluster, name, { ...spec, owner: `erin-${name}` }));
    await controller.stop();
    for (const [name, minutes] of [
      ["in-grace", 1],
      ["after-grace", 61],
    ] as const) {
      await runAsSuperuser(
        databaseUrl,
        `update apitoken.tokens set issued_at = now() - interval '2 hours', expires_at = now() - interval '${minutes} minutes' where name = '${name}'`,
      );
    }
    const isAccepted = [];
    for (const token of tokens) isAccepted.push(await verifies(cluster, databaseUrl, token));
    expect(isAccepted).toEqual([true, false]);
    await controller.restart();
  });
});

describe("a rate limit", () => {
  test("of the policy reaches existing tokens and goes with it, and a spec can only make it stricter", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    const specs: Readonly<Record<string, object>> = {
      "rate-of-the-policy": {},
      "rate-slower": { rateLimit: { requests: 5, per: "1h" } },
      "rate-faster": { rateLimit: { requests: 10_000, per: "1s" } },
      "rate-fewer-at-once": { rateLimit: { requests: 10, per: "1s" } },
    };
    /** Revision, requests and seconds of each row. */
    const limitsOf = async (name: string) =>
      (await findRows(databaseUrl, name)).map((row) => [row.revision, row.rate_limit_requests, row.rate_limit_seconds]);
    const allLimits = async () =>
      Object.fromEntries(await Promise.all(Object.keys(specs).map(async (name) => [name, await limitsOf(name)])));

    await resources.applyPolicy("rate", { maxTokensPerOwner: 10 });
    for (const [name, spec] of Object.entries(specs)) await issueToken(cluster, name, { owner: "judy", ...spec });
    expect(await allLimits()).toEqual({
      "rate-of-the-policy": [[1, null, null]],
      "rate-slower": [[1, 5, 3_600]],
      "rate-faster": [[1, 10_000, 1]],
      "rate-fewer-at-once": [[1, 10, 1]],
    });
    await resources.applyPolicy("rate", { maxTokensPerOwner: 10, rateLimit: { requests: 600, per: "90s" } });
    await eventually(async () =>
      expect(await allLimits()).toEqual({
        "rate-of-the-policy": [[1, 600, 90]],
        "rate-slower": [[1, 5, 3_600]],
        "rate-faster": [[1, 600, 90]],
        "rate-fewer-at-once": [[1, 10, 2]],
      }),
    );
    await cluster.annotate("rate-of-the-policy", { "apitoken.dev/rotate-requested-at": "now" });
    await eventually(async () =>
      expect(await limitsOf("rate-of-the-policy")).toEqual([
        [1, 600, 90],
        [2, 600, 90],
      ]),
    );
    await resources.deletePolicy("rate");
    await eventually(async () => expect(await limitsOf("rate-faster")).toEqual([[1, 10_000, 1]]));
  });
});

describe("an owner's limit", () => {
  test("RevokeOldest: the newest ApiToken wins, the older one is superseded for good", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1 });
    const first = await issueToken(cluster, "oldest", { owner: "frank" });
    await untilNextIsNewer(cluster, "oldest");
    const second = await issueToken(cluster, "newest", { owner: "frank" });
    await untilReason(cluster, "oldest", "Superseded");
    expect(await verifies(cluster, databaseUrl, first)).toBe(false);
    expect(await verifies(cluster, databaseUrl, second)).toBe(true);
    expect(await cluster.getSecret("oldest")).toBeUndefined();
    await cluster.delete("newest");
    await cluster.patch("oldest", { description: "never fights back" });
    await eventually(async () => {
      const resource = await cluster.get("oldest");
      expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
    });
    expect(conditionOf(await cluster.get("oldest"), "Ready")?.reason).toBe("Superseded");
  });

  test("Reject: the newer ApiToken waits, and gets its token within a second of the older one's end", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await resources.applyPolicy("reject", { maxTokensPerOwner: 1, onLimit: "Reject" });
    await issueToken(cluster, "first", { owner: "grace" });
    await cluster.apply("waiting", { owner: "grace" });
    await untilReason(cluster, "waiting", "OwnerLimitExceeded");
    expect(await findRows(databaseUrl, "waiting")).toEqual([]);
    await cluster.delete("first");
    await untilReady(cluster, "waiting", 2_000);
  });

  test("a rotation does not count twice", async ({ cluster, resources }) => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1, onLimit: "Reject" });
    await issueToken(cluster, "rotating", { owner: "heidi" });
    await cluster.annotate("rotating", { "apitoken.dev/rotate-requested-at": "1" });
    await eventually(async () => expect((await statusOf(cluster, "rotating"))?.revision).toBe(2));
    await untilReady(cluster, "rotating");
  });

  test("that is lowered ends the tokens above it", async ({ cluster, databaseUrl, resources }) => {
    await resources.applyPolicy("three", { maxTokensPerOwner: 3 });
    for (const name of ["low-a", "low-b", "low-c"]) await issueToken(cluster, name, { owner: "ivan" });
    await resources.applyPolicy("three", { maxTokensPerOwner: 1 });
    await eventually(async () =>
      expect((await liveRows(databaseUrl)).filter(({ owner }) => owner === "ivan")).toHaveLength(1),
    );
  });

  test("1,000 ApiTokens of 500 owners, one each, applied at once: exactly 500 live, by the database's own word", async ({
    cluster,
    databaseUrl,
    controller,
    resources,
  }) => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1 });
    const queue = Array.from({ length: 1_000 }, (_, index) => index).values();
    const work = async () => {
      for (const index of queue) await cluster.apply(`mass-${index}`, { owner: `mass-owner-${index % 500}` });
    };
    await Promise.all(Array.from({ length: 16 }, work));
    await eventually(() => isIdle(controller), { timeoutMs: 240_000, intervalMs: 250 });
    const live = (await liveRows(databaseUrl)).filter(({ owner }) => owner.startsWith("mass-owner-"));
    expect(live).toHaveLength(500);
    expect(new Set(live.map(({ owner }) => owner)).size).toBe(500);
    const ready = await Promise.all(
      live
        .slice(0, 20)
        .map(async ({ name }) => verifies(cluster, databaseUrl, readToken(await cluster.getSecret(name)))),
    );
    expect(ready.every(Boolean)).toBe(true);
  }, 300_000);
});
