import { test as base, expect, onTestFinished } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { expectFiring, expectShown, hasPromtool, history, lasting } from "../../support/alerts/promtool.ts";
import { type Scrape, scrape } from "../../support/alerts/scrape.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import {
  changeSilently,
  forgeSecret,
  issueByHand,
  startTestVerifier,
  type TestVerifier,
} from "../../support/verifier.ts";

/*
 * The alerts about verifiers, on figures that a verifier in exactly that state has exported.
 */

const keyring = createKeyring();
const SETTINGS = { APITOKEN_VERIFIER_OUTAGE: "0s", APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.1/32" };

const test = base
  .extend("databaseUrl", () => createTestDatabase())
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  .extend("verifier", async ({ network }, { onCleanup }) => {
    const verifier = await startTestVerifier({ url: network.url, keyring, settings: SETTINGS });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  });

const LEADER = 'apitoken_leading{namespace="apitokens",job="controller",pod="controller-0"}';

/**
 * What is scraped of a verifier; its job has a leader, whose absence would be an alert of its own. Unless a test is about them, without
 * the times of answers, which a busy machine makes long.
 */
async function scrapeVerifier({ httpPort }: TestVerifier, withTimes = false): Promise<Scrape> {
  const { at, samples } = await scrape({ port: httpPort }, "verifier-0");
  const kept = [...samples].filter(([series]) => withTimes || !series.startsWith("apitoken_verifier_answer_seconds"));
  return { at, samples: new Map([...kept, [LEADER, 1]]) };
}

const readValue = ({ samples }: Scrape, name: string) =>
  [...samples].find(([series]) => series.startsWith(`${name}{`))?.[1];

const untilShown = async (verifier: TestVerifier, name: string, value: number): Promise<Scrape> =>
  eventually(async () => {
    const figures = await scrapeVerifier(verifier);
    expect(readValue(figures, name)).toBe(value);
    return figures;
  });

/** Asks as a gateway would for a client at this address. */
const ask = async ({ gatewayUrl }: TestVerifier, plaintext: string, address = "192.0.2.1"): Promise<number> => {
  const headers = { authorization: `Bearer ${plaintext}`, "x-forwarded-for": address };
  return (await fetch(`${gatewayUrl}/verify`, { headers })).status;
};

/** The figures of an hour like `before`, and of minutes in each of which as much happens as between the two. */
const rising = (before: Scrape, after: Scrape, minutes: number) =>
  history(before.at, { figures: before, minutes: 60 }, { figures: after, since: before, minutes });

test.skipIf(!hasPromtool)("on a healthy verifier's figures no alert fires", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilShown(verifier, "apitoken_verifier_fresh", 1);
  const before = await scrapeVerifier(verifier);
  for (let count = 0; count < 40; count += 1) expect(await ask(verifier, token.plaintext)).toBe(200);
  const after = await scrapeVerifier(verifier);
  await expectFiring(rising(before, after, 30), []);
  await expectFiring(lasting(after, 24 * 60), []);
  await expectShown(lasting(after, 5), "Fresh", 1);
});

test.skipIf(!hasPromtool)("a verifier without its database", async ({ databaseUrl, verifier, network }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilShown(verifier, "apitoken_verifier_fresh", 1);
  await network.setMode({ kind: "refuse" });
  const before = await untilShown(verifier, "apitoken_verifier_database_available", 0);
  await expectFiring(lasting(before, 5), ["ApiTokenVerifierDatabaseUnreachable"]);
  for (let count = 0; count < 20; count += 1) expect(await ask(verifier, token.plaintext)).toBe(503);
  const after = await scrapeVerifier(verifier);
  await expectFiring(rising(before, after, 10), ["ApiTokenVerifierDatabaseUnreachable", "ApiTokenVerifierUncertain"]);
});

test.skipIf(!hasPromtool)("a verifier that may not read all tokens", async ({ databaseUrl, verifier, network }) => {
  await untilShown(verifier, "apitoken_verifier_fresh", 1);
  await runAsSuperuser(databaseUrl, "revoke select on apitoken.tokens from apitoken_verifier");
  network.reset();
  await untilShown(verifier, "apitoken_verifier_fresh", 0);
  const figures = await untilShown(verifier, "apitoken_verifier_database_available", 1);
  expect(readValue(figures, "apitoken_verifier_fresh")).toBe(0);
  await expectFiring(lasting(figures, 5), ["ApiTokenVerifierStale"]);
});

test.skipIf(!hasPromtool)("a verifier that has not heard of a change", async ({ databaseUrl }) => {
  const token = await issueByHand(databaseUrl, keyring); // before the verifier starts, which then hears nothing of it
  const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings: SETTINGS });
  onTestFinished(() => verifier.stop());
  const before = await untilShown(verifier, "apitoken_verifier_fresh", 1);
  expect(await ask(verifier, token.plaintext)).toBe(200);
  await changeSilently(databaseUrl, token, "revoked_at = now()");
  await eventually(async () => expect(await ask(verifier, token.plaintext)).toBe(401), { intervalMs: 0 });
  const after = await untilShown(verifier, "apitoken_verifier_missed_changes_total", 1);
  await expectFiring(history(before.at, { figures: before, minutes: 60 }, { figures: after, minutes: 10 }), [
    "ApiTokenVerifierMissedChange",
  ]);
});

test.skipIf(!hasPromtool)("refusals that are far more than usual", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilShown(verifier, "apitoken_verifier_fresh", 1);
  const before = await scrapeVerifier(verifier);
  const forged = forgeSecret(token);
  for (let count = 0; count < 200; count += 1) expect(await ask(verifier, forged, `198.51.100.${count}`)).toBe(401);
  const after = await scrapeVerifier(verifier);
  await expectFiring(rising(before, after, 20), ["ApiTokenRefusalsRising", "ApiTokenUnusualUse"]);
});

test.skipIf(!hasPromtool)(
  "answers that take long, because the database is silent",
  async ({ databaseUrl, verifier, network }) => {
    const token = await issueByHand(databaseUrl, keyring);
    await untilShown(verifier, "apitoken_verifier_fresh", 1);
    expect(await ask(verifier, token.plaintext)).toBe(200);
    await network.setMode({ kind: "stall" });
    await untilShown(verifier, "apitoken_verifier_fresh", 0);
    const before = await scrapeVerifier(verifier, true);
    for (let count = 0; count < 20; count += 1) expect(await ask(verifier, token.plaintext)).toBe(503);
    const after = await scrapeVerifier(verifier, true);
    await network.setMode({ kind: "pass" });
    network.reset();
    // A connection that is silent is not known to be lost at once.
    const isLost = readValue(after, "apitoken_verifier_database_available") === 0;
    const cause = isLost ? "ApiTokenVerifierDatabaseUnreachable" : "ApiTokenVerifierStale";
    await expectFiring(rising(before, after, 20), [cause, "ApiTokenVerifierSlow", "ApiTokenVerifierUncertain"]);
  },
);

test.skipIf(!hasPromtool)("wrong secrets for a token, again and again", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilShown(verifier, "apitoken_verifier_fresh", 1);
  const before = await scrapeVerifier(verifier);
  for (let count = 0; count < 12; count += 1) expect(await ask(verifier, forgeSecret(token))).toBe(401);
  const after = await scrapeVerifier(verifier);
  const past = history(before.at, { figures: before, minutes: 60 }, { figures: after, minutes: 10 });
  await expectFiring(past, ["ApiTokenUnusualUse"]);
});
