import { expect } from "vitest";
import { readMetric } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { applyMany, issueToken, untilNextIsNewer, untilReady, untilReason } from "../../support/resources.ts";

test("issues, rotations and revocations are counted by cause, and tokens by state", async ({ cluster, controller }) => {
  await issueToken(cluster, "kept");
  await cluster.annotate("kept", { "apitoken.dev/rotate-requested-at": "1" });
  await untilReason(cluster, "kept", "Rotated");
  expect(await readMetric(controller, 'apitoken_issues_total{cause="FirstToken"}')).toBe(1);
  expect(await readMetric(controller, 'apitoken_issues_total{cause="Requested"}')).toBe(1);
  expect(await readMetric(controller, "apitoken_rotations_total")).toBe(1);

  await issueToken(cluster, "over");
  await cluster.patch("over", { revoked: true });
  await untilReason(cluster, "over", "RevokedBySpec");
  expect(await readMetric(controller, 'apitoken_revocations_total{reason="RevokedBySpec"}')).toBe(1);
  await eventually(async () =>
    expect(await readMetric(controller, 'apitoken_tokens{state="ready",reason="Rotated"}')).toBe(1),
  );
  expect(await readMetric(controller, 'apitoken_tokens{state="not_ready",reason="RevokedBySpec"}')).toBe(1);
  expect(await readMetric(controller, 'apitoken_tokens_expiring{within="24h"}')).toBe(0);
  const ends = Date.parse((await cluster.get("kept"))?.status?.expiresAt ?? "") / 1_000;
  expect(await readMetric(controller, "apitoken_next_expiry_timestamp_seconds")).toBe(ends);
});

test("tokens that a block or a newer ApiToken ends are counted once", async ({ cluster, controller, resources }) => {
  for (const name of ["blocked-a", "blocked-b"]) await issueToken(cluster, name, { owner: "mallory" });
  await resources.applyBlock("mallory", { owner: "mallory" });
  for (const name of ["blocked-a", "blocked-b"]) await untilReason(cluster, name, "OwnerBlocked");
  await eventually(async () =>
    expect(await readMetric(controller, 'apitoken_revocations_total{reason="OwnerBlocked"}')).toBe(2),
  );
  expect(await readMetric(controller, "apitoken_owner_blocks")).toBeGreaterThanOrEqual(1);

  await resources.applyPolicy("one", { maxTokensPerOwner: 1 });
  await issueToken(cluster, "older", { owner: "frank" });
  await untilNextIsNewer(cluster, "older");
  await issueToken(cluster, "newer", { owner: "frank" });
  await untilReason(cluster, "older", "Superseded");
  await eventually(async () =>
    expect(await readMetric(controller, 'apitoken_revocations_total{reason="Superseded"}')).toBe(1),
  );
});

test("owners over the limits, as counted by the database", async ({ cluster, controller }) => {
  const names = Array.from({ length: 11 }, (_, index) => `many-${index}`);
  for (const name of names) await cluster.apply(name, { owner: "hoarder" });
  for (const name of names) await untilReady(cluster, name);
  await applyMany(cluster, "few", 20);
  // They are counted once a minute; a new controller counts at its first scrape.
  await controller.restart();
  await eventually(async () => expect(await readMetric(controller, 'apitoken_owners_over{limit="10"}')).toBe(1));
  expect(await readMetric(controller, 'apitoken_owners_over{limit="50"}')).toBe(0);
});
