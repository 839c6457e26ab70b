import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createBreakGlassToken } from "../../../src/verifier/break-glass/tokens.ts";
import { expectFiring, hasPromtool, history } from "../../support/alerts/promtool.ts";
import { scrape } from "../../support/alerts/scrape.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startTestVerifier } from "../../support/verifier.ts";

test.skipIf(!hasPromtool)("a single use of a break-glass token raises an alert", async () => {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-break-glass-"));
  const file = join(folder, "break-glass.json");
  const { plaintext, entry } = createBreakGlassToken({ name: "on-call", owner: "operators", scopes: [] }, 3_600_000);
  writeFileSync(file, JSON.stringify({ tokens: [entry] }));
  const verifier = await startTestVerifier({
    url: await createTestDatabase(),
    keyring: createKeyring(),
    settings: { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file },
  });
  try {
    await verifier.ready;
    const unused = await eventually(async () => {
      const figures = await scrape({ port: verifier.httpPort });
      const isFresh = [...figures.samples].some(
        ([series, value]) => series.startsWith("apitoken_verifier_fresh{") && value === 1,
      );
      if (!isFresh) throw new Error("the verifier does not answer from memory yet");
      return figures;
    });
    const response = await fetch(`${verifier.gatewayUrl}/verify`, {
      headers: { authorization: `Bearer ${plaintext}` },
    });
    expect(response.status).toBe(200);
    const used = await scrape({ port: verifier.httpPort });

    const before = { figures: unused, minutes: 3 };
    await expectFiring(history(unused.at, before), []);
    await expectFiring(history(unused.at, before, { figures: used, minutes: 5 }), ["ApiTokenBreakGlassUsed"]);
  } finally {
    await verifier.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
