/*
 * Rotations as controllers carry them out, under a verifier that is asked about every token all the time: the next token is good from
 * its first moment on, and the previous one until its last.
 */
import { randomUUID } from "node:crypto";
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { issueToken, revokeTokens } from "../../../src/postgres/token-writes.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";
import { startTestVerifier, untilFresh } from "../../support/verifier.ts";

const keyring = createKeyring();
const [pepper] = keyring.peppers;
const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;
const ROTATIONS = 30;
const OVERLAP_MS = 1_500;

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifier", async ({ databaseUrl }, { onCleanup }) => {
    const verifier = await startTestVerifier({ url: databaseUrl, keyring });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    await untilFresh(verifier);
    return verifier;
  })
  .extend("controller", async ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ url: databaseUrl, role: "apitoken_controller", actor: "test", maxConnections: 1 });
    onCleanup(() => db.close());
    return { db, fence: await raiseEpoch(db, randomUUID(), "test") };
  });

/** The clocks of test and database are one machine's, but an answer is judged a moment after it was asked for. */
const TOLERANCE_MS = 50;

test("no token is refused before its overlap is over, and none is accepted after it", async ({
  databaseUrl,
  verifier,
  controller: { db, fence },
}) => {
  /** Tokens that somebody may hold: the end is set when the next one is issued. */
  const held = new Map<string, { endsAtMs: number }>();
  const resourceUid = randomUUID();
  const faults: string[] = [];
  let answers = 0;
  let isOver = false;
  const nowMs = () => performance.timeOrigin + performance.now();

  const ask = async (plaintext: string) => {
    const token = held.get(plaintext) as { endsAtMs: number };
    const askedAtMs = nowMs();
    const headers = { authorization: `Bearer ${plaintext}` };
    const { status } = await fetch(`${verifier.gatewayUrl}/verify`, { headers });
    answers += 1;
    const isEarly = status === 401 && nowMs() < token.endsAtMs - TOLERANCE_MS;
    const isLate = status === 200 && askedAtMs > token.endsAtMs + TOLERANCE_MS;
    if (isEarly || isLate) faults.push(`${status} at ${Math.round(askedAtMs - token.endsAtMs)} ms from its end`);
    else if (status !== 200 && status !== 401) faults.push(`status ${status}`);
  };
  const issue = async (revision: number) => {
    const { id, plaintext } = createToken();
    const row = { id, resourceUid, hash: hashToken(plaintext, pepper), keyId: pepper.id, revision };
    await issueToken(db, fence, aNewTokenRow("rotated", row), LIMIT);
    held.set(plaintext, { endsAtMs: Number.POSITIVE_INFINITY });
    return { id, plaintext };
  };
  let current = await issue(1);
  const asking = Array.from({ length: 4 }, async () => {
    while (!isOver) for (const plaintext of [...held.keys()].slice(-8)) await ask(plaintext);
  });
  try {
    for (let revision = 2; revision <= ROTATIONS; revision += 1) {
      const next = await issue(revision);
      const before = answers;
      await eventually(() => answers > before + 10);
      const [row] = await runAsSuperuser<{ at: Date }>(databaseUrl, "select now() + $1::interval as at", [
        `${OVERLAP_MS} milliseconds`,
      ]);
      const endsAt = row?.at as Date;
      (held.get(current.plaintext) as { endsAtMs: number }).endsAtMs = endsAt.getTime();
      await revokeTokens(db, fence, [current.id], "Rotated", endsAt);
      current = next;
    }
    const [first] = held.keys();
    await eventually(async () => {
      const headers = { authorization: `Bearer ${first}` };
      expect((await fetch(`${verifier.gatewayUrl}/verify`, { headers })).status).toBe(401);
    });
  } finally {
    isOver = true;
    await Promise.all(asking);
  }
  expect(faults).toEqual([]);
  expect(answers).toBeGreaterThan(ROTATIONS * 10);
});
