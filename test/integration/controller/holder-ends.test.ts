import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken } from "../../support/cluster.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/* What verifiers note by functions, because their role may change no table, takes effect on tokens. */

async function asVerifier(databaseUrl: string, call: string, id: string): Promise<void> {
  await runAsSuperuser(
    databaseUrl,
    `set role apitoken_verifier; select ${call} from apitoken.tokens where id = '${id}'; reset role`,
  );
}

test("a token that its holder has ended is refused at once, revoked, and replaced by the next", async ({
  cluster,
  databaseUrl,
}) => {
  const token = await issueToken(cluster, "given-up", { owner: "alice" });
  const [row] = await findRows(databaseUrl, "given-up");
  await asVerifier(databaseUrl, "apitoken.end_token(id, hash, 'Leaked')", row?.id ?? "");
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  await eventually(async () =>
    expect(await findRows(databaseUrl, "given-up")).toMatchObject([
      { is_live: false, revocation_reason: "Leaked" },
      { is_live: true, revision: 2 },
    ]),
  );
  await untilReady(cluster, "given-up");
  await eventually(async () =>
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("given-up")))).toBe(true),
  );
  expect(await runAsSuperuser(databaseUrl, "select from apitoken.requested_ends")).toEqual([]);
});

test("a use that a verifier notes at -infinity keeps no token from being revoked", async ({ cluster, databaseUrl }) => {
  await issueToken(cluster, "noted", { owner: "alice" });
  const [row] = await findRows(databaseUrl, "noted");
  const note = "apitoken.note_uses(array[id], array[timestamptz '-infinity'], array[null::inet])";
  await asVerifier(databaseUrl, note, row?.id ?? "");
  await cluster.patch("noted", { revoked: true });
  await eventually(async () =>
    expect(await findRows(databaseUrl, "noted")).toMatchObject([
      { is_live: false, revocation_reason: "RevokedBySpec" },
    ]),
  );
});

test.for(["-infinity", "4713-01-01 BC", "294276-12-31", "infinity"])(
  "nor do times in the row at %s, which somebody has written with SQL, nor one that its holder has ended",
  async (time, { cluster, databaseUrl }) => {
    const [revoked, leaked] = [`revoked-${time.length}`, `leaked-${time.length}`];
    for (const name of [revoked, leaked]) await issueToken(cluster, name, { owner: "alice" });
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set last_used_at = $2, active_since = $2 where name = any ($1)",
      [[revoked, leaked], time],
    );
    const [row] = await findRows(databaseUrl, leaked);
    await asVerifier(databaseUrl, "apitoken.end_token(id, hash, 'Leaked')", row?.id ?? "");
    await cluster.patch(revoked, { revoked: true });
    for (const [name, reason] of [
      [revoked, "RevokedBySpec"],
      [leaked, "Leaked"],
    ] as const) {
      await eventually(async () =>
        expect((await findRows(databaseUrl, name))[0]).toMatchObject({ is_live: false, revocation_reason: reason }),
      );
    }
    await untilReason(cluster, revoked, "RevokedBySpec");
  },
);

test("a use that nobody has taken over yet keeps a token from ending by inactivity", async ({
  cluster,
  databaseUrl,
}) => {
  await issueToken(cluster, "in-use", { owner: "alice", inactivityTimeout: "240h" });
  const [row] = await findRows(databaseUrl, "in-use");
  await asVerifier(databaseUrl, "apitoken.note_uses(array[id], array[now()], array['10.0.0.1'::inet])", row?.id ?? "");
  await runAsSuperuser(
    databaseUrl,
    `update apitoken.tokens set issued_at = issued_at - interval '241 hours', active_since = active_since - interval '241 hours'
     where name = 'in-use'`,
  );
  await cluster.patch("in-use", { description: "look again" });
  await eventually(async () => expect((await cluster.get("in-use"))?.status?.lastUsedAt).toBeDefined());
  await untilReady(cluster, "in-use");
  expect(await findRows(databaseUrl, "in-use")).toMatchObject([{ is_live: true, revision: 1 }]);
});
