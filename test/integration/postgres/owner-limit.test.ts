import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, replaceToken, revokeTokens, takeOver } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase } from "../../support/database.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

/* An owner's limit in the database, which decides: whatever the controller does in between, and however often it is killed. */

const ONE = { max: 1, onLimit: "RevokeOldest", scope: "Cluster" } as const;

let url: string;
let db: Database;
let fence: Fence;
beforeAll(async () => {
  url = await createTestDatabase();
  db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 4 });
  fence = await raiseEpoch(db, randomUUID(), "test");
});
afterAll(() => db?.close());

const createdAt = (second: number) => ({ resourceCreatedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, second)) });

async function findAccepted(owner: string): Promise<string[]> {
  const rows = await runAsSuperuser<{ name: string }>(
    url,
    "select name from apitoken.tokens t where owner = $1 and apitoken.is_accepted(t, now()) order by resource_created_at",
    [owner],
  );
  return rows.map(({ name }) => name);
}

test("nothing is ended by issuing; the one that takes over ends all older ones, also those that never did so themselves", async () => {
  const rows = [0, 1, 2, 3].map((second) => aNewTokenRow(`eager-${second}`, { owner: "eager", ...createdAt(second) }));
  for (const row of rows) await issueToken(db, fence, row, ONE);
  expect(await findAccepted("eager")).toHaveLength(4);
  await takeOver(db, fence, rows[3]?.id ?? "", ONE);
  expect(await findAccepted("eager")).toEqual(["eager-3"]);
});

test("an ApiToken counts once, even if its rows tell different times of its creation", async () => {
  const first = aNewTokenRow("twice", { owner: "twice", ...createdAt(0) });
  await issueToken(db, fence, first, ONE);
  const { resourceUid } = first;
  await issueToken(
    db,
    fence,
    aNewTokenRow("twice", { owner: "twice", resourceUid, revision: 2, ...createdAt(1) }),
    ONE,
  );
  const other = aNewTokenRow("other", { owner: "twice", ...createdAt(2) });
  await issueToken(db, fence, other, { ...ONE, max: 2, onLimit: "Reject" });
  expect(await findAccepted("twice")).toEqual(["twice", "twice", "other"]);
});

test("one that has ended meanwhile takes nobody's place", async () => {
  const [older, newer] = [0, 1].map((second) =>
    aNewTokenRow(`late-${second}`, { owner: "late", ...createdAt(second) }),
  );
  for (const row of [older, newer]) await issueToken(db, fence, row as never, ONE);
  await revokeTokens(db, fence, [newer?.id ?? ""], "Orphaned");
  await takeOver(db, fence, newer?.id ?? "", ONE);
  expect(await findAccepted("late")).toEqual(["late-0"]);
});

test.each([
  [
    "a block",
    async (name: string, owner: string) => {
      const uid = randomUUID();
      await recordBlock(db, fence, { uid, name, owner, reason: "", effectiveAt: new Date(0) });
      await endBlockedTokens(db, fence, uid);
    },
  ],
  ["its revocation", (_: string, id: string) => revokeTokens(db, fence, [id], "RevokedBySpec")],
])("a lost token is not replaced after %s", async (what, end) => {
  const row = aNewTokenRow(`lost-${what.length}`, { owner: `lost-${what.length}` });
  await issueToken(db, fence, row, ONE);
  await end(`lost-${what.length}`, what === "a block" ? row.owner : row.id);
  const next = aNewTokenRow(row.name, { owner: row.owner });
  await expect(replaceToken(db, fence, row.id, next, ONE)).rejects.toThrow(/was not issued: (blocked|gone)/);
  expect(await findAccepted(row.owner)).toEqual([]);
});

test("nor when the limit has been reached by others, with Reject", async () => {
  const reject = { ...ONE, onLimit: "Reject" } as const;
  const row = aNewTokenRow("lost-late", { owner: "full", ...createdAt(5) });
  await issueToken(db, fence, row, reject);
  await issueToken(db, fence, aNewTokenRow("first", { owner: "full", ...createdAt(1) }), { ...reject, max: 2 });
  const next = aNewTokenRow(row.name, { owner: row.owner });
  await expect(replaceToken(db, fence, row.id, next, reject)).rejects.toThrow("over_limit");
});
