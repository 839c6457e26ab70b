/*
 * What a verifier finds out behind its answers.
 */
import { test as base, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import {
  ask,
  changeByHand,
  changeSilently,
  type HandMadeToken,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
  type TestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", () => createTestDatabase())
  /** A verifier, and a token that is older: later nothing is heard of its issue. */
  .extend("scene", async ({ databaseUrl }, { onCleanup }) => {
    const token = await issueByHand(databaseUrl, keyring);
    const verifier = await startTestVerifier({ url: databaseUrl, keyring });
    onCleanup(() => verifier.stop());
    await untilFresh(verifier);
    return { token, verifier };
  });

const readMissed = (verifier: TestVerifier) => readVerifierMetric(verifier, "apitoken_verifier_missed_changes_total");

/** Asks again and again, until the answer is this one. */
const untilAnswered = (verifier: TestVerifier, token: HandMadeToken, status: number) =>
  eventually(async () => expect(await ask(verifier, token)).toBe(status), { intervalMs: 0 });

test.for([
  ["revoked", (url: string, token: HandMadeToken) => changeSilently(url, token, "revoked_at = now()")],
  [
    "moved to an earlier expiry",
    (url: string, token: HandMadeToken) => changeSilently(url, token, "expires_at = now()"),
  ],
  ["deleted", (url: string, token: HandMadeToken) => changeSilently(url, token, "id = reverse(id)")],
] as const)(
  "a token that is %s without a notification is refused soon, and that is shown",
  async ([, change], { databaseUrl, scene: { token, verifier } }) => {
    expect(await ask(verifier, token)).toBe(200);
    await change(databaseUrl, token);
    expect(await ask(verifier, token)).toBe(200);
    await untilAnswered(verifier, token, 401);
    await eventually(async () => expect(await readMissed(verifier)).toBe(1));
  },
);

test("changes that are notified are not taken for missed ones, however many there are", async ({
  databaseUrl,
  scene: { token, verifier },
}) => {
  let checked = 0;
  let isChanging = true;
  const asking = (async () => {
    for (; isChanging; checked += 1) expect(await ask(verifier, token)).toBe(200);
  })();
  for (let scope = 0; scope < 300 || checked < 2_000; scope += 1) {
    await changeByHand(databaseUrl, token, `scopes = '{a:${scope}}'`);
  }
  isChanging = false;
  await asking;
  expect(await readMissed(verifier)).toBe(0);
});
