import pg from "pg";
import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, type TestCluster } from "../../support/cluster.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import type { ClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/** Waits until a condition of an OwnerBlock has this status and reason; returns its message. */
async function untilBlock(
  resources: ClusterResources,
  name: string,
  wanted: { type: "Effective" | "Erased"; status: "True" | "False"; reason: string },
): Promise<string> {
  await eventually(async () => expect(await resources.getBlockCondition(name, wanted.type)).toMatchObject(wanted), {
    timeoutMs: 20_000,
  });
  return (await resources.getBlockCondition(name, wanted.type))?.message ?? "";
}

const BLOCKED = { type: "Effective", status: "True", reason: "Blocked" } as const;
const ERASED = { type: "Erased", status: "True", reason: "Erased" } as const;

/** Rows of an owner in another cluster that shares the database. */
function insertMany(databaseUrl: string, owner: string, rows: number): Promise<unknown> {
  return runAsSuperuser(
    databaseUrl,
    `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
       key_id, issued_at, expires_at)
     select left(md5($1 || n), 12), '22222222-2222-4222-8222-222222222222', 'ns', 'many-' || n, gen_random_uuid(), 1, $1,
       sha256(($1 || n)::bytea), 'hmac-sha256', 'k', now(), now() + interval '1 day' from generate_series(1, $2::int) n`,
    [owner, rows],
  );
}

async function countAccepted(databaseUrl: string, owner: string): Promise<number> {
  const [row] = await runAsSuperuser<{ tokens: number }>(
    databaseUrl,
    "select count(*)::int as tokens from apitoken.tokens t where owner = $1 and apitoken.is_accepted(t, now())",
    [owner],
  );
  return row?.tokens ?? 0;
}

async function findWarnings(cluster: TestCluster, block: string): Promise<string[]> {
  const { items } = await cluster.transport.request<{ items: { note: string; type: string; regarding: object }[] }>(
    "GET",
    "/apis/events.k8s.io/v1/namespaces/default/events",
    { query: { fieldSelector: `regarding.name=${cluster.namespace}-${block}` } },
  );
  return items.filter(({ type }) => type === "Warning").map(({ note }) => note);
}

test("a block ends every token of the owner and issues none; once it is lifted, new ones are issued", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  const names = ["blocked-a", "blocked-b", "blocked-c"];
  const tokens = [];
  for (const name of names) tokens.push(await issueToken(cluster, name, { owner: "mallory" }));
  const bystander = await issueToken(cluster, "bystander", { owner: "alice" });

  await resources.applyBlock("mallory", { owner: "mallory", reason: "left the company" });
  for (const name of names) await untilReason(cluster, name, "OwnerBlocked", 2_000);
  expect(conditionOf(await cluster.get("blocked-a"), "Ready")?.message).toContain("left the company");
  for (const token of tokens) expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  expect(await verifies(cluster, databaseUrl, bystander)).toBe(true);
  await untilBlock(resources, "mallory", BLOCKED);
  const { metadata, status } = await resources.getBlock("mallory");
  expect(status).toMatchObject({
    observedGeneration: metadata.generation,
    conditions: [{ type: "Effective", observedGeneration: metadata.generation }],
    apiTokens: 3,
    acceptedTokens: 0,
    tokensRevoked: 3,
  });
  expect(await findWarnings(cluster, "mallory")).toEqual([]);
  const ends = (await findEvents(databaseUrl, "blocked-a")).filter(({ event }) => event === "TokenRevoked");
  expect(ends).toMatchObject([{ reason: "OwnerBlocked", actor: expect.stringMatching(/^controller\//) }]);

  await cluster.apply("blocked-d", { owner: "mallory" });
  await untilReason(cluster, "blocked-d", "OwnerBlocked");
  expect(await findRows(databaseUrl, "blocked-d")).toEqual([]);

  await resources.deleteBlock("mallory");
  for (const name of [...names, "blocked-d"]) await untilReady(cluster, name);
  for (const token of tokens) expect(await verifies(cluster, databaseUrl, token)).toBe(false);
});

test("a block whose time is in the future waits for it", async ({ cluster, databaseUrl, resources }) => {
  const token = await issueToken(cluster, "leaving", { owner: "oscar" });
  const effectiveAt = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_000);
  await resources.applyBlock("oscar", { owner: "oscar", effectiveAt: effectiveAt.toISOString() });
  const message = await untilBlock(resources, "oscar", { type: "Effective", status: "False", reason: "Pending" });
  expect(message).toContain(effectiveAt.toISOString().replace(".000", ""));
  expect((await resources.getBlock("oscar")).status).toMatchObject({ apiTokens: 1, acceptedTokens: 1 });
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  await untilReason(cluster, "leaving", "OwnerBlocked");
  expect(Date.now()).toBeGreaterThanOrEqual(effectiveAt.getTime());
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  await untilBlock(resources, "oscar", BLOCKED);
});

test("a block that was deleted while no controller ran is lifted by the next", async ({
  cluster,
  controller,
  resources,
}) => {
  await issueToken(cluster, "returning", { owner: "peggy" });
  await resources.applyBlock("peggy", { owner: "peggy" });
  await untilReason(cluster, "returning", "OwnerBlocked");
  await controller.stop();
  await resources.deleteBlock("peggy");
  await controller.restart();
  await untilReady(cluster, "returning");
});

test("a block that takes the name of another one has done nothing yet, and the former owner is free", async ({
  cluster,
  controller,
  databaseUrl,
  resources,
}) => {
  await issueToken(cluster, "former", { owner: "frieda" });
  const token = await issueToken(cluster, "next", { owner: "nadia" });
  await resources.applyBlock("leaver", { owner: "frieda", erase: true });
  await untilBlock(resources, "leaver", ERASED);
  await controller.stop();
  await resources.deleteBlock("leaver");
  await resources.applyBlock("leaver", { owner: "nadia", erase: true });
  await controller.restart();

  await untilReady(cluster, "former");
  await untilReason(cluster, "next", "OwnerBlocked");
  await untilBlock(resources, "leaver", ERASED);
  expect(await findRows(databaseUrl, "next")).toEqual([]);
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  // None of the former owner's. The pass over the ApiToken may have been faster than the block's.
  expect((await resources.getBlock("leaver")).status?.tokensRevoked).toBeLessThanOrEqual(1);
});

test("a block that somebody takes out of the database is recorded again at once", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  await cluster.apply("stubborn", { owner: "steve" });
  await resources.applyBlock("steve", { owner: "steve" });
  await untilReason(cluster, "stubborn", "OwnerBlocked");
  await untilBlock(resources, "steve", BLOCKED);
  await runAsSuperuser(databaseUrl, "delete from apitoken.blocked_owners where owner = 'steve'");
  await eventually(async () =>
    expect(await runAsSuperuser(databaseUrl, "select from apitoken.blocked_owners where owner = 'steve'")).toHaveLength(
      1,
    ),
  );
});

test("erase: the rows are deleted at once, and the trail names a pseudonym instead", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  await issueToken(cluster, "forgotten", { owner: "trent@example.com" });
  await cluster.patch("forgotten", { scopes: ["a:b"] });
  await eventually(async () => expect((await cluster.get("forgotten"))?.status?.effective?.scopes).toEqual(["a:b"]));
  await resources.applyBlock("trent", { owner: "trent@example.com", erase: true });
  await untilBlock(resources, "trent", ERASED);
  expect(await findRows(databaseUrl, "forgotten")).toEqual([]);
  const named = await runAsSuperuser(
    databaseUrl,
    "select * from apitoken.security_events e where to_jsonb(e)::text ~ 'trent'",
  );
  expect(named).toEqual([]);
  const [trail] = await runAsSuperuser<{ owners: string[] }>(
    databaseUrl,
    "select array_agg(distinct owner) as owners from apitoken.security_events where name = 'forgotten'",
  );
  expect(trail?.owners).toEqual([expect.stringMatching(/^erased-[0-9a-f]{32}$/)]);
  await untilReason(cluster, "forgotten", "OwnerBlocked");
});

describe("an owner with many tokens", () => {
  test("is blocked and erased in batches", async ({ databaseUrl, resources }) => {
    await insertMany(databaseUrl, "victor", 2_500);
    await resources.applyBlock("victor", { owner: "victor" });
    await untilBlock(resources, "victor", BLOCKED);
    expect((await resources.getBlock("victor")).status).toMatchObject({ acceptedTokens: 0, tokensRevoked: 2_500 });
    const batches = await runAsSuperuser<{ rows: number }>(
      databaseUrl,
      "select count(*)::int as rows from apitoken.tokens where owner = 'victor' group by xmin::text",
    );
    expect(Math.max(...batches.map(({ rows }) => rows))).toBeLessThanOrEqual(1_000);

    await resources.applyBlock("victor", { owner: "victor", erase: true });
    await untilBlock(resources, "victor", ERASED);
    const renamed = await runAsSuperuser<{ rows: number }>(
      databaseUrl,
      "select count(*)::int as rows from apitoken.security_events where owner like 'erased-%' and name like 'many-%' group by xmin::text",
    );
    expect(renamed.reduce((sum, { rows }) => sum + rows, 0)).toBe(5_000);
    expect(Math.max(...renamed.map(({ rows }) => rows))).toBeLessThanOrEqual(1_000);
    const traces =
      "select from apitoken.tokens where owner = $1 union all select from apitoken.security_events where owner = $1";
    expect(await runAsSuperuser(databaseUrl, traces, ["victor"])).toEqual([]);
  });

  test("is refused everywhere from the first moment, the status shows the progress, and the next controller continues", async ({
    cluster,
    controller,
    databaseUrl,
    resources,
  }) => {
    const token = await issueToken(cluster, "held", { owner: "wanda" });
    await insertMany(databaseUrl, "wanda", 1_200);
    const holder = new pg.Client(databaseUrl);
    await holder.connect();
    try {
      await holder.query("begin");
      await holder.query(
        "select from apitoken.tokens where owner = 'wanda' and name in ('many-1', 'many-2') for update",
      );
      await resources.applyBlock("wanda", { owner: "wanda", erase: true });
      await eventually(async () =>
        expect(await resources.getBlockCondition("wanda", "Effective")).toMatchObject({
          status: "False",
          reason: "InProgress",
          message: expect.stringContaining("Ended 1,199 of 1,201 tokens"),
        }),
      );
      expect(await resources.getBlockCondition("wanda", "Erased")).toMatchObject({
        status: "False",
        reason: "Pending",
      });
      expect(await verifies(cluster, databaseUrl, token)).toBe(false);
      await issueToken(cluster, "meanwhile", { owner: "alice" });
      await controller.restart();
    } finally {
      await holder.query("rollback");
      await holder.end();
    }
    await untilBlock(resources, "wanda", BLOCKED);
    await untilBlock(resources, "wanda", ERASED);
    expect(await countAccepted(databaseUrl, "wanda")).toBe(0);
    expect((await resources.getBlock("wanda")).status).toMatchObject({ tokensRevoked: 1_201 });
  });
});

test("a block that matches nothing takes effect with a warning, until an ApiToken has the owner", async ({
  cluster,
  resources,
}) => {
  await resources.applyBlock("typo", { owner: "malory" });
  const message = await untilBlock(resources, "typo", { ...BLOCKED, reason: "NothingMatched" });
  expect(message).toContain('"malory"');
  await eventually(async () =>
    expect(await findWarnings(cluster, "typo")).toEqual([expect.stringContaining('"malory"')]),
  );
  expect((await resources.getBlock("typo")).status).toMatchObject({ apiTokens: 0, acceptedTokens: 0 });

  await cluster.apply("malory", { owner: "malory" });
  await untilBlock(resources, "typo", BLOCKED);
  expect((await resources.getBlock("typo")).status).toMatchObject({ apiTokens: 1 });
  await cluster.delete("malory");
  await eventually(async () => expect((await resources.getBlock("typo")).status).toMatchObject({ apiTokens: 0 }));
});

test("a block that the database rejects is not called effective, until the database takes it", async ({
  databaseUrl,
  resources,
}) => {
  const right = "execute on function apitoken.record_block";
  await runAsSuperuser(databaseUrl, `revoke ${right} from apitoken_controller`);
  try {
    await resources.applyBlock("refused", { owner: "rupert" });
    await untilBlock(resources, "refused", { type: "Effective", status: "False", reason: "DatabaseRefused" });
  } finally {
    await runAsSuperuser(databaseUrl, `grant ${right} to apitoken_controller`);
  }
  await untilBlock(resources, "refused", { ...BLOCKED, reason: "NothingMatched" });
});
