/*
 * Tokens that nobody has issued: anybody can make up as many as they like, and the database must not feel it.
 */
import { randomUUID } from "node:crypto";
import { test as base, expect, onTestFinished } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { issueToken, replaceToken } from "../../../src/postgres/token-writes.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";
import {
  ask,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
  type TestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();
const [pepper] = keyring.peppers;
const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  .extend("verifier", async ({ network }, { onCleanup }) => {
    const verifier = await startTestVerifier({ url: network.url, keyring });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    await untilFresh(verifier);
    return verifier;
  })
  /** What a leading controller writes with. */
  .extend("controller", async ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ url: databaseUrl, role: "apitoken_controller", actor: "test", maxConnections: 1 });
    onCleanup(() => db.close());
    return { db, fence: await raiseEpoch(db, randomUUID(), "test") };
  });

const statements = (verifier: TestVerifier) =>
  readVerifierMetric(verifier, "apitoken_verifier_lookup_statements_total");

/** Shows tokens that do not exist, 50 at once; returns the statuses that came back. */
async function flood(verifier: TestVerifier, count: number): Promise<Set<number>> {
  const seen = new Set<number>();
  const worker = async () => {
    for (let shown = 0; shown < count / 50; shown += 1) seen.add(await ask(verifier, createToken()));
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  return seen;
}

/** On a busy machine some may not be judged in time, and then they are not refused. */
function expectRefused(statuses: Set<number>): void {
  expect(statuses).toContain(401);
  expect([...statuses].filter((status) => status !== 401 && status !== 503)).toEqual([]);
}

/** Asks until the verifier knows. */
const untilKnown = (verifier: TestVerifier, plaintext: string) =>
  eventually(async () => {
    const status = await ask(verifier, { plaintext });
    expect(status).not.toBe(503);
    return String(status);
  });

function aCredential() {
  const { id, plaintext } = createToken();
  return { plaintext, row: { id, hash: hashToken(plaintext, pepper), keyId: pepper.id, scopes: ["read"] } };
}

test("thousands of tokens that do not exist are refused, and hardly any of them is looked up", async ({ verifier }) => {
  const before = await statements(verifier);
  const beganAtMs = performance.now();
  expectRefused(await flood(verifier, 5_000));
  const seconds = (performance.now() - beganAtMs) / 1_000;
  // At most 200 at once, and 20 a second after that; each could be a statement.
  expect((await statements(verifier)) - before).toBeLessThan(200 + 20 * (seconds + 1));
});

test.for([
  ["for as many tokens as there are, hardly any stranger is", 3, false],
  ["for fewer tokens than there are, every stranger is", 2, true],
] as const)("with room %s looked up", async ([, rows, areLookedUp]) => {
  const url = await createTestDatabase();
  for (let count = 0; count < 3; count += 1) await issueByHand(url, keyring);
  const settings = { APITOKEN_VERIFIER_CACHE_ROWS: String(rows) };
  const verifier = await startTestVerifier({ url, keyring, settings });
  onTestFinished(() => verifier.stop());
  await untilFresh(verifier);
  const readRows = () => readVerifierMetric(verifier, 'apitoken_verifier_sources_total{source="row"}');
  await flood(verifier, 1_000); // takes what is looked up at once
  const before = await readRows();
  expectRefused(await flood(verifier, 1_000));
  expect((await readRows()) - before > 200).toBe(areLookedUp); // 20 a second at most, and 1,000 were asked for
});

test("a token that a controller issues or replaces during a flood is known at once", async ({
  verifier,
  controller,
}) => {
  const { db, fence } = controller;
  let isOver = false;
  const flooding = (async () => {
    while (!isOver) expectRefused(await flood(verifier, 500));
  })();
  try {
    for (let round = 0; round < 20; round += 1) {
      const [first, second] = [aCredential(), aCredential()];
      const row = aNewTokenRow(`flooded-${round}`, { ...first.row, owner: `owner-${round}` });
      await issueToken(db, fence, row, LIMIT);
      expect(await untilKnown(verifier, first.plaintext)).toBe("200");
      await replaceToken(db, fence, row.id, { ...row, ...second.row }, LIMIT);
      expect(await untilKnown(verifier, second.plaintext)).toBe("200");
      await eventually(async () => expect(await ask(verifier, first)).toBe(401), { timeoutMs: 1_000 });
    }
  } finally {
    isOver = true;
    await flooding;
  }
});

test("a token whose transaction takes long is known once it is committed, whatever was issued and refused meanwhile", async ({
  databaseUrl,
  verifier,
  controller,
}) => {
  const { plaintext, row } = aCredential();
  await controller.db.withConnection(async (slow) => {
    await slow.query({ text: "begin" });
    await issueToken(slow, controller.fence, aNewTokenRow("slow", { ...row, owner: "slow" }), LIMIT);
    for (let round = 0; round < 3; round += 1) {
      expectRefused(await flood(verifier, 500));
      expect(await untilKnown(verifier, (await issueByHand(databaseUrl, keyring)).plaintext)).toBe("200");
    }
    await slow.query({ text: "commit" });
  });
  expectRefused(await flood(verifier, 500));
  expect(await untilKnown(verifier, plaintext)).toBe("200");
});

test("a token that was issued and never used is known when the database goes away", async ({
  verifier,
  controller,
  network,
}) => {
  const { plaintext, row } = aCredential();
  const before = await readVerifierMetric(verifier, "apitoken_verifier_tokens");
  await issueToken(controller.db, controller.fence, aNewTokenRow("unused", row), LIMIT);
  await eventually(async () => expect(await readVerifierMetric(verifier, "apitoken_verifier_tokens")).toBe(before + 1));
  await network.setMode({ kind: "refuse" });
  network.reset();
  await eventually(async () => expect(await readVerifierMetric(verifier, "apitoken_verifier_fresh")).toBe(0));
  expect(await ask(verifier, { plaintext })).toBe(200);
  // What does not exist cannot be told from what was issued since.
  expect(await flood(verifier, 1_000)).toEqual(new Set([503]));
});

test("an operator learns why a token is refused even during a flood", async ({ databaseUrl, verifier }) => {
  const operator = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:explain}'");
  const dead = await issueByHand(databaseUrl, keyring, "revoked_at = now() - interval '1 hour'");
  await flood(verifier, 1_000);
  const response = await fetch(`${verifier.introspectionUrl}/explain`, {
    method: "POST",
    headers: { authorization: `Bearer ${operator.plaintext}` },
    body: new URLSearchParams({ token: dead.plaintext }),
  });
  expect(await response.json()).toMatchObject({ answer: "no", reason: "Revoked" });
});

test("a token that was inserted with SQL is known at once, too", async ({ databaseUrl, verifier }) => {
  await flood(verifier, 1_000);
  const token = await issueByHand(databaseUrl, keyring);
  expect(await untilKnown(verifier, token.plaintext)).toBe("200");
  await runAsSuperuser(databaseUrl, "delete from apitoken.tokens where id = $1", [token.id]);
  await eventually(async () => expect(await ask(verifier, token)).toBe(401), { timeoutMs: 1_000 });
});
