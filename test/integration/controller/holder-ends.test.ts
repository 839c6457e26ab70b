import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken } from "../../support/cluster.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady } from "../../support/resources.ts";

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
