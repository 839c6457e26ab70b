import { expect, test } from "vitest";
import { openDatabase } from "../../../src/postgres/database.ts";
import { countEndedInUse } from "../../../src/postgres/ended-tokens.ts";
import { createTestDatabase } from "../../support/database.ts";
import { changeAsRestore, insertTokenRows } from "../../support/token-rows.ts";

const CLUSTER = "11111111-1111-4111-8111-111111111111";
const ANOTHER = "22222222-2222-4222-8222-222222222222";

/** How each kind of row is counted, by when it was used and the grace after its expiry in seconds. */
const USES = [
  ["live", "-1 minute", null],
  ["expired", "-1 minute", null],
  ["expired-before-it-was-used-no-more", "-20 minutes", null],
  ["expired-long-unused", "-2 hours", null],
  ["expired-in-grace", "-1 minute", 3_600],
  ["expired-after-grace", "-1 minute", 60],
  ["revoked", "-1 minute", null],
  ["revoked-in-grace", "-1 minute", 3_600],
  ["revoked-after-use", "-20 minutes", null],
  ["superseded", "-1 minute", null],
  ["never-used", null, null],
] as const;

test("tokens that were used within the last hour, after their end, are counted by how they had ended", async () => {
  const url = await createTestDatabase();
  await insertTokenRows(url, [
    { prefix: "live", count: 1, expires: "1 day" },
    { prefix: "expired", count: 2, expires: "-10 minutes" },
    { prefix: "expired-before-it-was-used-no-more", count: 1, expires: "-10 minutes" },
    { prefix: "expired-long-unused", count: 1, expires: "-3 hours" },
    { prefix: "expired-in-grace", count: 1, expires: "-10 minutes" },
    { prefix: "expired-after-grace", count: 1, expires: "-10 minutes" },
    { prefix: "revoked", count: 3, expires: "1 day", revoked: "-10 minutes" },
    { prefix: "revoked-in-grace", count: 1, expires: "-20 minutes", revoked: "-10 minutes" },
    { prefix: "revoked-after-use", count: 1, expires: "1 day", revoked: "-10 minutes" },
    { prefix: "superseded", count: 1, expires: "1 day", revoked: "10 minutes" },
    { prefix: "never-used", count: 1, expires: "-10 minutes" },
  ]);
  for (const [prefix, usedAt, graceSeconds] of USES) {
    await changeAsRestore(
      url,
      `update apitoken.tokens set last_used_at = now() + $2::interval, grace_seconds = $3
       where regexp_replace(name, '-[0-9]+$', '') = $1`,
      [prefix, usedAt, graceSeconds],
    );
  }
  const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
  try {
    expect(await countEndedInUse(db, CLUSTER)).toEqual({ expired: 3, revoked: 4 });
    expect(await countEndedInUse(db, ANOTHER)).toEqual({ expired: 0, revoked: 0 });
  } finally {
    await db.close();
  }
});
