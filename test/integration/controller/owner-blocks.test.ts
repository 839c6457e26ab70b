import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf } from "../../support/cluster.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

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
  await eventually(async () =>
    expect((await resources.getBlock("mallory")).status).toMatchObject({ effective: true, tokensRevoked: 3 }),
  );
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
  await eventually(async () => expect((await resources.getBlock("oscar")).status?.effective).toBe(false));
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  await untilReason(cluster, "leaving", "OwnerBlocked");
  expect(Date.now()).toBeGreaterThanOrEqual(effectiveAt.getTime());
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
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

test("erase: the rows are deleted at once, and the trail names a pseudonym instead", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  await issueToken(cluster, "forgotten", { owner: "trent@example.com" });
  await cluster.patch("forgotten", { scopes: ["a:b"] });
  await eventually(async () => expect((await cluster.get("forgotten"))?.status?.effective?.scopes).toEqual(["a:b"]));
  await resources.applyBlock("trent", { owner: "trent@example.com", erase: true });
  await eventually(async () => expect((await resources.getBlock("trent")).status?.erased).toBe(true));
  expect(await findRows(databaseUrl, "forgotten")).toEqual([]);
  const named = await runAsSuperuser(
    databaseUrl,
    "select * from apitoken.security_events where owner ~ 'trent' or detail::text ~ 'trent'",
  );
  expect(named).toEqual([]);
  const [trail] = await runAsSuperuser<{ owners: string[] }>(
    databaseUrl,
    "select array_agg(distinct owner) as owners from apitoken.security_events where owner like 'erased-%'",
  );
  expect(trail?.owners).toHaveLength(1);
  await untilReason(cluster, "forgotten", "OwnerBlocked");
});

test("two thousand tokens of one owner end in one statement", async ({ databaseUrl, resources }) => {
  await runAsSuperuser(
    databaseUrl,
    `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
       key_id, issued_at, expires_at)
     select 'mass' || lpad(n::text, 8, '0'), gen_random_uuid(), 'ns', 'many-' || n, gen_random_uuid(), 1, 'victor',
       sha256(n::text::bytea), 'hmac-sha256', 'k', now(), now() + interval '1 day' from generate_series(1, 2000) n`,
  );
  await resources.applyBlock("victor", { owner: "victor" });
  await eventually(async () => expect((await resources.getBlock("victor")).status?.tokensRevoked).toBe(2_000));
  const times = await runAsSuperuser<{ transactions: number }>(
    databaseUrl,
    "select count(distinct xmin::text)::int as transactions from apitoken.tokens where owner = 'victor'",
  );
  expect(times).toEqual([{ transactions: 1 }]);
});
