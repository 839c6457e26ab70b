import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { FencedError, LateEpochError } from "../../../src/postgres/errors.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, eraseBlockedOwner, liftBlock, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, replaceToken, revokeTokens, updateToken } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase, findRows } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow as aRow } from "../../support/token-rows.ts";

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;

const BLOCK = randomUUID();

const login = (url: string) => ({ url, role: "apitoken_controller", actor: "test", maxConnections: 20 }) as const;

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
      db = openDatabase(login(databaseUrl));
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

    test("a controller that may no longer lead begins no epoch, and ends none", async () => {
      const current = await raiseEpoch(db, clusterId, "leads");
      await expect(raiseEpoch(db, clusterId, "led", () => 0)).rejects.toBeInstanceOf(LateEpochError);
      await expect(raiseEpoch(db, randomUUID(), "led", () => 0)).rejects.toBeInstanceOf(LateEpochError);
      await issueToken(db, current, aRow("undisturbed"), LIMIT);
      const next = await raiseEpoch(db, clusterId, "leads next", () => 5_000);
      expect(BigInt(next.epoch)).toBeGreaterThan(BigInt(current.epoch));
    });

    test("a controller that may no longer lead when it gets the lock on the epoch's row begins no epoch", async () => {
      const current = await raiseEpoch(db, clusterId, "leads");
      const locker = new pg.Client({ connectionString: databaseUrl });
      await locker.connect();
      await locker.query("begin");
      await locker.query("select from apitoken.leader_epoch where cluster_id = $1 for update", [clusterId]);
      const heldMs = 100;
      const patient = openDatabase({ ...login(databaseUrl), lockTimeoutMs: 30_000 });
      const late = raiseEpoch(patient, clusterId, "waits", () => heldMs).catch((error: unknown) => error);
      await eventually(async () => {
        const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%raise_epoch%'";
        expect(await runAsSuperuser(databaseUrl, waiting)).toHaveLength(1);
      });
      // From now on: to connect may have taken longer.
      const waitsSinceMs = performance.now();
      await eventually(() => performance.now() > waitsSinceMs + 2 * heldMs);
      await locker.query("commit");
      expect(await late).toBeInstanceOf(LateEpochError);
      await Promise.all([locker.end(), patient.close()]);
      await issueToken(db, current, aRow("not ended"), LIMIT);
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
