import { expect } from "vitest";
import { readKeyring } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";
import { startTestVerifier } from "../../support/verifier.ts";

/* From the policy to the gateway: with the real controller and the real verifier. */

test("a policy limits a token that exists already, and a change of the policy reaches gateways without a new token", async ({
  cluster,
  databaseUrl,
  resources,
  onTestFinished,
}) => {
  const token = await issueToken(cluster, "rated", { owner: "alice" });
  const verifier = await startTestVerifier({ url: databaseUrl, keyring: await readKeyring(cluster) });
  onTestFinished(() => verifier.stop());
  await verifier.ready;
  const ask = async () => {
    const { status, headers } = await fetch(`${verifier.gatewayUrl}/verify`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return [status, headers.get("ratelimit-policy")];
  };
  expect(await ask()).toEqual([200, null]);

  await resources.applyPolicy("rate", { rateLimit: { requests: 3, per: "24h" } });
  await eventually(async () => expect(await ask()).toEqual([429, '"token";q=3;w=86400']));

  await resources.applyPolicy("rate", { rateLimit: { requests: 600, per: "1m" } });
  await eventually(async () => expect(await ask()).toEqual([200, '"token";q=600;w=60']));

  await cluster.patch("rated", { rateLimit: { requests: 1, per: "1h" } });
  await eventually(async () => expect(await ask()).toEqual([429, '"token";q=1;w=3600']));

  await cluster.patch("rated", { rateLimit: null });
  await resources.deletePolicy("rate");
  await eventually(async () => expect(await ask()).toEqual([200, null]));
});
