/*
 * The database is restored from an older backup under a running verifier. What a restore does to rows is notified to nobody, and no
 * trigger keeps it from bringing back what had ended.
 */
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { copyDatabase, restoreDatabase, restoreInPlace } from "../../support/database-copy.ts";
import { eventually } from "../../support/eventually.ts";
import {
  ask,
  changeByHand,
  type HandMadeToken,
  issueByHand,
  startTestVerifier,
  type TestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", () => createTestDatabase())
  .extend("start", ({ databaseUrl }, { onCleanup }) => {
    const started: TestVerifier[] = [];
    onCleanup(async () => void (await Promise.all(started.map((verifier) => verifier.stop()))));
    return async () => {
      const verifier = await startTestVerifier({ url: databaseUrl, keyring });
      started.push(verifier);
      await verifier.ready;
      await untilFresh(verifier);
      return verifier;
    };
  });

async function isAccepted(url: string, { id }: HandMadeToken): Promise<boolean> {
  const rows = await runAsSuperuser(
    url,
    "select from apitoken.tokens where id = $1 and revoked_at is null and expires_at > now()",
    [id],
  );
  return rows.length === 1;
}

test.for([
  ["with its connections cut", restoreDatabase],
  ["in place, without a connection that is cut", restoreInPlace],
] as const)(
  "after a restore %s, what a verifier has seen dead stays dead, and what was issued since the backup is refused",
  async ([, restore], { databaseUrl, start }) => {
    const verifier = await start();
    const kept = await issueByHand(databaseUrl, keyring);
    const revoked = await issueByHand(databaseUrl, keyring);
    const deleted = await issueByHand(databaseUrl, keyring);
    await copyDatabase(databaseUrl);
    const issued = await issueByHand(databaseUrl, keyring);
    for (const token of [kept, revoked, deleted, issued]) expect(await ask(verifier, token)).toBe(200);
    await changeByHand(databaseUrl, revoked, "revoked_at = now()");
    await runAsSuperuser(databaseUrl, "delete from apitoken.tokens where id = $1", [deleted.id]);
    await eventually(async () => {
      for (const token of [revoked, deleted]) expect(await ask(verifier, token)).toBe(401);
    });

    await restore(databaseUrl);
    expect(await isAccepted(databaseUrl, revoked), "the backup has revived the row").toBe(true);
    await eventually(async () => expect(await ask(verifier, issued)).toBe(401), { timeoutMs: 5_000 });
    await untilFresh(verifier);
    expect(await ask(verifier, kept)).toBe(200);
    expect(await ask(verifier, revoked)).toBe(401);
    // Its row says so. The controller ends it, as docs/operations.md has it.
    expect(await ask(verifier, deleted)).toBe(200);
  },
);

test("a verifier that starts after a restore goes by the rows, until the controller has ended them again", async ({
  databaseUrl,
  start,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  await copyDatabase(databaseUrl);
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  await restoreDatabase(databaseUrl);
  const verifier = await start();
  expect(await ask(verifier, token)).toBe(200);
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  await eventually(async () => expect(await ask(verifier, token)).toBe(401), { timeoutMs: 1_000 });
});
