import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { type ClusterResources, createClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/* What ends a token ends it whatever state it is in, and nothing brings it back. */

let cluster: TestCluster;
let databaseUrl: string;
let controller: TestController;
let resources: ClusterResources;

beforeAll(async () => {
  cluster = await connectCluster();
  resources = createClusterResources(cluster);
  databaseUrl = await createTestDatabase();
  controller = await startTestController(cluster, databaseUrl);
});
afterEach(() => resources.clear());
afterAll(async () => {
  await controller?.stop();
  await cluster?.close();
});

const GRACE = { grace: { period: "24h", scopes: ["jobs:read"] }, scopes: ["jobs:read", "a"] };

describe("a token in its grace is ended by", () => {
  /** Issues a token of a second, and waits until it is in its grace. */
  async function issueGraced(name: string): Promise<string> {
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
    return token;
  }

  test.each([
    ["revoked", "spec.revoked", async (name: string) => void (await cluster.patch(name, { revoked: true }))],
    ["blocked", "an OwnerBlock", async (name: string) => void (await resources.applyBlock(name, { owner: name }))],
    ["deleted", "its deletion", (name: string) => cluster.delete(name)],
    [
      "denied",
      "a policy that denies",
      async () => void (await resources.applyPolicy("graced", { ...GRACE, scopes: ["b"] })),
    ],
  ])("%s: %s", async (name, _what, end) => {
    const token = await issueGraced(`graced-${name}`);
    await end(`graced-${name}`);
    await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false));
    await eventually(async () =>
      expect((await findRows(databaseUrl, `graced-${name}`)).map((row) => row.revocation_reason)).not.toContain(null),
    );
  });
});

test("a blocked owner's tokens are refused at once, before each of them is ended", async () => {
  const token = await issueToken(cluster, "refused", { owner: "rita" });
  await controller.stop();
  await runAsSuperuser(
    databaseUrl,
    "insert into apitoken.blocked_owners (cluster_id, name, owner, effective_at) values (gen_random_uuid(), 'x', 'rita', now())",
  );
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  controller = await startTestController(cluster, databaseUrl);
});

describe("a dead row cannot be revived with SQL:", () => {
  test.each([
    ["by a later expiry, once it has expired", "expires_at = now()", "expires_at = now() + interval '900 days'"],
    ["by removing its revocation", "revoked_at = now()", "revoked_at = null"],
    ["by moving its revocation", "revoked_at = now()", "revoked_at = now() + interval '1 day'"],
    ["by a grace", "expires_at = now()", "grace_seconds = 86400, grace_scopes = '{a}'"],
  ])("%s", async (_how, end, revival) => {
    const name = `dead-${end.slice(0, 7).replaceAll("_", "")}-${revival.length}`;
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
    controller = await startTestController(cluster, databaseUrl);
  });

  test("a row that is inserted with SQL is looked at, and ended, at once", async () => {
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

describe("the older ApiToken of an owner with one place", () => {
  const one = () => resources.applyPolicy("one", { maxTokensPerOwner: 1, onLimit: "RevokeOldest" });

  /** Creation times are whole seconds: this makes "newer" certain. */
  async function untilNextSecond(name: string): Promise<void> {
    const createdAt = Date.parse((await cluster.get(name))?.metadata.creationTimestamp ?? "");
    await eventually(() => Date.now() >= createdAt + 1_000);
  }

  test("keeps its token while a newer one cannot have its Secret, and yields once it has", async () => {
    await one();
    const token = await issueToken(cluster, "older", { owner: "paul" });
    await untilNextSecond("older");
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

  test("counts as long as any of its tokens is accepted, also one with an end that is put back into its Secret", async () => {
    await resources.applyPolicy("one", { maxTokensPerOwner: 1, onLimit: "Reject" });
    await issueToken(cluster, "first", { owner: "pia" });
    const data = (await cluster.getSecret("first"))?.data;
    await cluster.annotate("first", { "apitoken.dev/rotate-requested-at": "1" });
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

test.each([
  ["Auto", "with rotation"],
  ["Disabled", "without rotation"],
])("an old Secret that is put back gets a next token, and the newest one has its overlap (%s)", async (policy, how) => {
  const name = `put-back-${how.split(" ")[0]}`;
  const first = await issueToken(cluster, name, { owner: name, rotation: { policy } });
  const data = (await cluster.getSecret(name))?.data;
  await cluster.annotate(name, { "apitoken.dev/rotate-requested-at": "1" });
  await eventually(async () => expect((await cluster.get(name))?.status?.revision).toBe(2));
  const second = readToken(await cluster.getSecret(name));
  await cluster.kubectl(["patch", "secret", name, "--type=merge", "-p", JSON.stringify({ data })]);
  await eventually(async () => expect((await cluster.get(name))?.status?.revision).toBe(3));
  const third = readToken(await cluster.getSecret(name));
  expect(new Set([first, second, third]).size).toBe(3);
  for (const token of [second, third]) expect(await verifies(cluster, databaseUrl, token)).toBe(true);
});
