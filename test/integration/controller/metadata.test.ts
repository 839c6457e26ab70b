import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken } from "../../support/cluster.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { findEvents, findRows, verify } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

const METADATA = { tenant: "acme-corporation", "cost-centre": "needle-4711" };

test("metadata is returned to whoever verifies the token, and follows the spec in place", async ({
  cluster,
  databaseUrl,
}) => {
  const token = await issueToken(cluster, "followed", { owner: "ann", metadata: METADATA });
  expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual(METADATA);

  await cluster.patch("followed", { metadata: { tenant: "other" } });
  await eventually(async () =>
    expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual({
      tenant: "other",
      "cost-centre": "needle-4711",
    }),
  );
  await cluster.patch("followed", { metadata: null });
  await eventually(async () => expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual({}));
  expect(await findRows(databaseUrl, "followed")).toMatchObject([{ metadata: null, metadata_key_id: null }]);

  await cluster.patch("followed", { metadata: { back: "again" } });
  await eventually(async () =>
    expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual({ back: "again" }),
  );
  expect(readToken(await cluster.getSecret("followed"))).toBe(token);
});

test("the next token has it, too", async ({ cluster, databaseUrl }) => {
  const token = await issueToken(cluster, "next", { owner: "bea", metadata: METADATA });
  await cluster.annotate("next", { "apitoken.dev/rotate-requested-at": "2026-01-01T00:00:00Z" });
  const next = await eventually(async () => {
    const held = readToken(await cluster.getSecret("next"));
    expect(held).not.toBe(token);
    return held;
  });
  expect((await verify(cluster, databaseUrl, next))?.metadata).toEqual(METADATA);
  expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual(METADATA);
});

test("only ciphertext is in the database, and nothing of it in the audit trail", async ({ cluster, databaseUrl }) => {
  await issueToken(cluster, "hidden", { owner: "cay", metadata: METADATA });
  await cluster.patch("hidden", { metadata: { tenant: "acme-incorporated" } });
  await eventually(async () => {
    const events = await findEvents(databaseUrl, "hidden");
    expect(events.map(({ event }) => event)).toEqual(["TokenIssued", "TokenChanged"]);
  });
  const tables = await runAsSuperuser<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'apitoken'`,
  );
  const dumps = await Promise.all(tables.map(({ name }) => runAsSuperuser(databaseUrl, `select * from ${name} t`)));
  const text = JSON.stringify(dumps, (_, value) =>
    value?.type === "Buffer" ? Buffer.from(value.data).toString("latin1") : value,
  );
  expect(text).toContain("hidden");
  for (const word of ["tenant", "cost-centre", "acme", "needle"]) expect(text).not.toContain(word);

  const rows = await runAsSuperuser<{ metadata: Buffer }>(
    databaseUrl,
    "select metadata from apitoken.tokens where name = 'hidden'",
  );
  const ciphertext = rows[0]?.metadata.toString("hex") ?? "missing";
  const [trail] = await runAsSuperuser<{ text: string }>(
    databaseUrl,
    "select string_agg(e::text, ' ') as text from apitoken.security_events e",
  );
  expect(trail?.text).not.toContain(ciphertext);
  expect(trail?.text).toContain("metadataKeyId");
});

test("metadata that was swapped, damaged or made unreadable in the database is rewritten", async ({
  cluster,
  databaseUrl,
}) => {
  const [first, second] = [
    await issueToken(cluster, "first", { owner: "dan", metadata: { who: "first" } }),
    await issueToken(cluster, "second", { owner: "eve", metadata: { who: "second" } }),
  ];
  await runAsSuperuser(
    databaseUrl,
    `update apitoken.tokens t set metadata = other.metadata from apitoken.tokens other
     where (t.name, other.name) in (('first', 'second'), ('second', 'first'))`,
  );
  await eventually(async () => expect((await verify(cluster, databaseUrl, first))?.metadata).toEqual({ who: "first" }));
  await eventually(async () =>
    expect((await verify(cluster, databaseUrl, second))?.metadata).toEqual({ who: "second" }),
  );
});

test("what is converged is not written again, not even by a new controller", async ({ cluster, controller }) => {
  await issueToken(cluster, "quiet", { owner: "fay", metadata: { b: "2", a: "1" } });
  await eventually(() => isIdle(controller));
  await controller.stop();
  const tap = createWriteTap();
  await controller.restart(tap);
  await eventually(async () => {
    expect(await readMetric(controller, 'apitoken_reconcile_total{result="converged"}')).toBeGreaterThanOrEqual(6);
    expect(await isIdle(controller)).toBe(true);
  });
  expect(tap.writes).toEqual([]);
});

test.for<[string, object, string]>([
  ["a key with a blank", { "a b": "x" }, "keys must be"],
  ["an empty key", { "": "x" }, "keys must be"],
  ["a key of 64 characters", { ["k".repeat(64)]: "x" }, "keys must be"],
  ["a control character", { key: "x\ny" }, "without control characters"],
  ["a value of 257 characters", { key: "x".repeat(257) }, "256"],
  ["17 pairs", Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, "x"])), "16"],
])("%s is refused", async ([_, metadata, message], { cluster }) => {
  await expect(cluster.apply("refused", { owner: "alice", metadata })).rejects.toThrow(message);
});
