import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { FencedError } from "../../../src/postgres/errors.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, eraseBlockedOwner, liftBlock, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, replaceToken, revokeTokens, updateToken } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase, findRows } from "../../support/database.ts";
import { aNewTokenRow as aRow } from "../../support/token-rows.ts";

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;

const BLOCK = randomUUID();

const clusterId = randomUUID();
let databaseUrl: string;
let db: Database;

// Whatever the database's default is: the fence stands on read committed, which sessions set.
describe.each(["read committed", "repeatable read", "serializable"])(
  "where transactions are %s by default",
  (isolation) => {
    beforeAll(async () => {
      databaseUrl = await createTestDatabase();
      const name = new URL(databaseUrl).pathname.slice(1);
      await runAsSuperuser(databaseUrl, `alter database ${name} set default_transaction_isolation = '${isolation}'`);
      db = openDatabase({ url: databaseUrl, role: "apitoken_controller", actor: "test", maxConnections: 20 });
    });
    afterAll(() => db?.close());

    test("every write with an old epoch is rejected, and changes nothing", async () => {
      const old = await raiseEpoch(db, clusterId, "first");
      const row = aRow("fenced");
      await issueToken(db, old, row, LIMIT);
      const before = await findRows(databaseUrl, "fenced");
      await raiseEpoch(db, clusterId, "second");

      const writes: ((fence: Fence) => Promise<void>)[] = [
        (fence) => issueToken(db, fence, aRow("fenced", { revision: 2 }), LIMIT),
        (fence) => replaceToken(db, fence, row.id, aRow("fenced"), LIMIT),
        (fence) => updateToken(db, fence, row.id, { ...row, scopes: ["x"] }),
        (fence) => revokeTokens(db, fence, [row.id], "no"),
        (fence) =>
          recordBlock(db, fence, { uid: BLOCK, name: "b", owner: "alice", reason: "", effectiveAt: new Date(0) }),
        async (fence) => void (await endBlockedTokens(db, fence, BLOCK)),
        (fence) => liftBlock(db, fence, BLOCK),
        async (fence) => void (await eraseBlockedOwner(db, fence, BLOCK, "nobody")),
      ];
      for (const write of writes) await expect(write(old)).rejects.toBeInstanceOf(FencedError);
      expect(await findRows(databaseUrl, "fenced")).toEqual(before);
    });

    test("while epochs are raised under load, no write lands after the epoch that ended it", async () => {
      let fence = await raiseEpoch(db, clusterId, "holder-0");
      const landed: string[] = [];
      let isOver = false;
      const writer = async () => {
        while (!isOver) {
          const mine = fence;
          await issueToken(db, mine, aRow("race", { keyId: mine.epoch, owner: randomUUID() }), LIMIT).then(
            () => landed.push(mine.epoch),
            (error) => expect(error).toBeInstanceOf(FencedError),
          );
        }
      };
      const writers = Array.from({ length: 8 }, writer);
      const counts: number[] = [];
      for (let round = 1; round <= 20; round += 1) {
        const ended = fence;
        fence = await raiseEpoch(db, clusterId, `holder-${round}`);
        // From here on the number of rows of the ended epoch must not grow.
        counts.push((await rowsOf(ended)).length);
        const later = (await rowsOf(ended)).length;
        expect(later).toBe(counts.at(-1));
      }
      isOver = true;
      await Promise.all(writers);
      expect(landed.length).toBeGreaterThan(20);
    });
  },
);

async function rowsOf({ epoch }: Fence) {
  return (await findRows(databaseUrl, "race")).filter((row) => row.key_id === epoch);
}
