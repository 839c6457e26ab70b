/*
 * An installation that gets a prefix of its own while it runs: its new tokens have it, and the others keep working.
 */
import { expect } from "vitest";
import { buildLeakRules } from "../../../src/token/leak-rules.ts";
import { createToken, DEFAULT_PREFIX } from "../../../src/token/token-string.ts";
import { readToken } from "../../support/cluster.ts";
import { isIdle } from "../../support/controllers.ts";
import { readKeyring } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { scanWithSecretlint, withFiles } from "../../support/leaks.ts";
import { issueToken } from "../../support/resources.ts";
import { ask, startTestVerifier } from "../../support/verifier.ts";

const ACME = { APITOKEN_PREFIX: "acme" };

/** Which of the texts have a token that the rules for this prefix find. */
const findLeaks = (prefix: string, texts: Readonly<Record<string, string>>) =>
  withFiles(buildLeakRules([prefix]), (rules) => withFiles(texts, (folder) => scanWithSecretlint(folder, rules)));

test("tokens get a new prefix when they rotate, and both work and are found by the rules for their prefix", async ({
  cluster,
  databaseUrl,
  controller,
}) => {
  const former = await issueToken(cluster, "rotated", { owner: "ann", rotation: { overlap: "1h" } });
  expect(former).toMatch(/^apt_/);
  const verifier = await startTestVerifier({ url: databaseUrl, keyring: await readKeyring(cluster) });
  try {
    await verifier.ready;
    const tap = createWriteTap();
    await controller.restart({ settings: ACME, ...tap });
    const issued = await issueToken(cluster, "issued", { owner: "bea" });
    expect(issued).toMatch(/^acme_[0-9A-Za-z]{61}$/);
    await eventually(() => isIdle(controller));
    // The change of the setting alone rotates nothing.
    expect(tap.writes.filter((write) => write.includes("/rotated"))).toEqual([]);
    expect(readToken(await cluster.getSecret("rotated"))).toBe(former);

    await cluster.annotate("rotated", { "apitoken.dev/rotate-requested-at": "1" });
    const rotated = await eventually(async () => {
      const held = readToken(await cluster.getSecret("rotated"));
      expect(held).toMatch(/^acme_/);
      return held;
    });
    for (const plaintext of [former, issued, rotated]) {
      await eventually(async () => expect(await ask(verifier, { plaintext })).toBe(200));
    }
    const swapped = `apt_${rotated.slice("acme_".length)}`;
    expect(await ask(verifier, { plaintext: swapped })).toBe(401);
    expect(await ask(verifier, createToken("acme"))).toBe(401);

    const texts = { former, issued, rotated, swapped };
    expect((await findLeaks("acme", texts)).sort()).toEqual(["issued", "rotated"]);
    expect(await findLeaks(DEFAULT_PREFIX, texts)).toEqual(["former"]);
  } finally {
    await verifier.stop();
  }
});
