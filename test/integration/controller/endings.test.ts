import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken, type TestCluster } from "../../support/cluster.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import type { ClusterResources } from "../../support/policies.ts";
import { issueToken, untilNextIsNewer, untilReady, untilReason } from "../../support/resources.ts";

/* What ends a token ends it in whatever state it is, and nothing brings it back. */

const REQUEST = "apitoken.dev/rotate-requested-at";
const GRACE = { grace: { period: "24h", scopes: ["jobs:read"] }, scopes: ["jobs:read", "a"] };

interface Parts {
  readonly cluster: TestCluster;
  readonly resources: ClusterResources;
}

describe("a token in its grace is ended by", () => {
  test.for<[string, string, (parts: Parts, name: string) => Promise<unknown>]>([
    ["spec.revoked", "revoked", ({ cluster }, name) => cluster.patch(name, { revoked: true })],
    ["an OwnerBlock", "blocked", ({ resources }, name) => resources.applyBlock(name, { owner: name })],
    ["its deletion", "deleted", ({ cluster }, name) => cluster.delete(name)],
    ["a policy that denies", "denied", ({ resources }) => resources.applyPolicy("graced", { ...GRACE, scopes: ["b"] })],
  ])("%s", async ([, how, end], { cluster, databaseUrl, resources }) => {
    const name = `graced-${how}`;
    await resources.applyPolicy("graced", GRACE);
    const spec = { owner: name, duration: "10s", scopes: ["jobs:read", "a"], rotation: { policy: "Disabled" } };
    const token = await issueToken(cluster, name, spec);
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set issued_at = issued_at - interval '10s', expires_at = now() where name = $1",
      [name],
    );
    await untilReason(cluster, name, "Expired");
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);

    await end({ cluster, resources }, name);
    await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false));
    await eventually(async () => {
      for (const row of await findRows(databaseUrl, name)) expect(row.revocation_reason).not.toBeNull();
    });
  });
});

test("a token in its grace loses what the next one loses, and ends with its overlap", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  const rotation = { minRequestInterval: "0s" };
  await resources.applyPolicy("graced", { ...GRACE, defaultDuration: "24h", maxDuration: "24h", rotation });
  const spec = { owner: "gina", duration: "24h", scopes: ["jobs:read", "a"], rotation: { policy: "Disabled" } };
  const token = await issueToken(cluster, "graced-next", spec);
  await runAsSuperuser(
    databaseUrl,
    `update apitoken.tokens set issued_at = issued_at - interval '24h', expires_at = now() - interval '0.000001s'
     where name = 'graced-next'`,
  );
  await untilReason(cluster, "graced-next", "Expired");
  await cluster.annotate("graced-next", { [REQUEST]: "1" });
  await untilReason(cluster, "graced-next", "Rotated");
  const isGood = (scope: string) => verifies(cluster, databaseUrl, token, { scopes: [scope] });
  expect(await isGood("jobs:read")).toBe(true);
  expect((await cluster.get("graced-next"))?.status?.previous?.tokenId).toBe(token.slice(4, 16));

  await cluster.patch("graced-next", { scopes: ["a"] });
  await eventually(async () => expect(await isGood("jobs:read")).toBe(false));
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  await cluster.patch("graced-next", { rotation: { overlap: "0s" } });
  await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false));
});

test("a blocked owner's tokens are refused at once, before each of them is ended", async ({
  cluster,
  databaseUrl,
  controller,
}) => {
  const token = await issueToken(cluster, "refused", { owner: "rita" });
  await controller.stop();
  await runAsSuperuser(
    databaseUrl,
    `insert into apitoken.blocked_owners (cluster_id, uid, name, owner, effective_at)
     values (gen_random_uuid(), gen_random_uuid(), 'x', 'rita', now())`,
  );
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  await controller.restart();
});

describe("a dead row cannot be revived with SQL:", () => {
  test.for([
    ["by a later expiry, once it has expired", "expires_at = now()", "expires_at = now() + interval '900 days'"],
    ["by removing its revocation", "revoked_at = now()", "revoked_at = null"],
    ["by moving its revocation", "revoked_at = now()", "revoked_at = now() + interval '1 day'"],
    ["by a grace", "expires_at = now()", "grace_seconds = 86400, grace_scopes = '{a}'"],
  ] as const)("%s", async ([how, end, revival], { cluster, databaseUrl, controller }) => {
    const name = how.replaceAll(/[, ]+/g, "-");
    await issueToken(cluster, name, { owner: name, rotation: { policy: "Disabled" } });
    await controller.stop();
    const change = (set: string) =>
      runAsSuperuser(
        databaseUrl,
        `update apitoken.tokens set issued_at = issued_at - interval '1 day', ${set} where name = $1`,
        [name],
      );
    await change(end);
    await expect(change(revival)).rejects.toThrow(/token \w{12} ended at .* and cannot be revived/);
    await controller.restart();
  });

  test("a row that is inserted with SQL is noticed and ended at once", async ({ cluster, databaseUrl }) => {
    await issueToken(cluster, "original", { owner: "olga" });
    await runAsSuperuser(
      databaseUrl,
      `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
         key_id, issued_at, expires_at)
       select 'smuggledRow1', cluster_id, namespace, 'nobody', gen_random_uuid(), 1, 'root', '\\x00', hash_algorithm, key_id,
         issued_at, expires_at from apitoken.tokens where name = 'original'`,
    );
    await eventually(
      async () =>
        expect(await findRows(databaseUrl, "nobody")).toMatchObject([{ revocation_reason: "ResourceDeleted" }]),
      { timeoutMs: 5_000 },
    );
  });
});

describe("an owner with one place", () => {
  test("keeps the older token while the newer ApiToken cannot have its Secret, and not once it has", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1, onLimit: "RevokeOldest" });
    const token = await issueToken(cluster, "older", { owner: "paul" });
    await untilNextIsNewer(cluster, "older");
    await cluster.kubectl(["create", "secret", "generic", "taken", "--from-literal=token=theirs"]);
    await cluster.apply("newer", { owner: "paul", secret: { name: "taken" } });
    await untilReason(cluster, "newer", "SecretConflict");
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    expect((await cluster.get("older"))?.status?.conditions).toMatchObject([{ type: "Ready", status: "True" }]);

    await cluster.kubectl(["delete", "secret", "taken"]);
    await cluster.patch("newer", { description: "look again" });
    await untilReady(cluster, "newer");
    await untilReason(cluster, "older", "Superseded");
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("taken")))).toBe(true);
  });

  test("has none left while any token is accepted, also one with an end that is put back into its Secret", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1, onLimit: "Reject" });
    await issueToken(cluster, "first", { owner: "pia" });
    const data = (await cluster.getSecret("first"))?.data;
    await cluster.annotate("first", { [REQUEST]: "1" });
    await eventually(async () => expect((await cluster.get("first"))?.status?.revision).toBe(2));
    await cluster.patch("first", { suspend: true });
    await cluster.kubectl(["patch", "secret", "first", "--type=merge", "-p", JSON.stringify({ data })]);
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set revoked_at = now() where name = 'first' and revision = 2",
    );
    await cluster.apply("second", { owner: "pia" });
    await untilReason(cluster, "second", "OwnerLimitExceeded");
    expect(await findRows(databaseUrl, "second")).toEqual([]);
  });
});

test.for(["Auto", "Disabled"])(
  "an old Secret that is put back gets a next token, and the newest one has its overlap (rotation %s)",
  async (policy, { cluster, databaseUrl }) => {
    const name = `put-back-${policy.toLowerCase()}`;
    const first = await issueToken(cluster, name, { owner: name, rotation: { policy } });
    const data = (await cluster.getSecret(name))?.data;
    await cluster.annotate(name, { [REQUEST]: "1" });
    await eventually(async () => expect((await cluster.get(name))?.status?.revision).toBe(2));
    const second = readToken(await cluster.getSecret(name));
    await cluster.kubectl(["patch", "secret", name, "--type=merge", "-p", JSON.stringify({ data })]);
    await eventually(async () => expect((await cluster.get(name))?.status?.revision).toBe(3));
    const third = readToken(await cluster.getSecret(name));
    expect(new Set([first, second, third]).size).toBe(3);
    for (const token of [second, third]) expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  },
);
