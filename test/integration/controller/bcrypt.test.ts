import { crc32 } from "node:zlib";
import { expect } from "vitest";
import { parseTokenId } from "../../../src/token/token-string.ts";
import { readToken } from "../../support/cluster.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

const BCRYPT = { settings: { APITOKEN_HASH: "bcrypt", APITOKEN_BCRYPT_ROUNDS: "10" } };

async function algorithms(databaseUrl: string, name: string): Promise<string[]> {
  const rows = (await findRows(databaseUrl, name)) as unknown as { hash_algorithm: string }[];
  return rows.map((row) => row.hash_algorithm);
}

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function withChecksum(body: string): string {
  let digits = "";
  for (let rest = crc32(body); rest > 0; rest = Math.floor(rest / 62)) digits = ALPHABET.charAt(rest % 62) + digits;
  return body + digits.padStart(6, "0");
}

test("bcrypt applies to new tokens: earlier ones keep working, rotations switch to it, a restart writes nothing", async ({
  cluster,
  databaseUrl,
  controller,
}) => {
  const plain = await issueToken(cluster, "plain", { owner: "ann" });
  await controller.restart(BCRYPT);

  const slow = await issueToken(cluster, "slow", { owner: "bea", secret: { data: { header: "Bearer ${token}" } } });
  const [row] = await findRows(databaseUrl, "slow");
  expect(await algorithms(databaseUrl, "slow")).toEqual(["bcrypt"]);
  expect(row?.hash.toString()).toMatch(/^\$2[aby]\$10\$/);
  expect(await verifies(cluster, databaseUrl, slow)).toBe(true);
  expect(await verifies(cluster, databaseUrl, plain)).toBe(true);

  await cluster.annotate("plain", { "apitoken.dev/rotate-requested-at": "2026-01-01T00:00:00Z" });
  const next = await eventually(async () => {
    const held = readToken(await cluster.getSecret("plain"));
    expect(held).not.toBe(plain);
    return held;
  });
  expect(await algorithms(databaseUrl, "plain")).toEqual(["hmac-sha256", "bcrypt"]);
  expect(await verifies(cluster, databaseUrl, next)).toBe(true);
  expect(await verifies(cluster, databaseUrl, plain)).toBe(true);
  await eventually(() => isIdle(controller));

  const tap = createWriteTap();
  await controller.restart({ ...BCRYPT, ...tap });
  await eventually(async () => {
    expect(await readMetric(controller, 'apitoken_reconcile_total{result="converged"}')).toBeGreaterThanOrEqual(2);
    expect(await isIdle(controller)).toBe(true);
  });
  expect(tap.writes).toEqual([]);
});

test("a Secret with a bcrypt token is rewritten from its own values, and replaced if it was edited", async ({
  cluster,
  databaseUrl,
}) => {
  const token = await issueToken(cluster, "moved", { owner: "cay" });
  expect(await algorithms(databaseUrl, "moved")).toEqual(["bcrypt"]);
  await cluster.patch("moved", { secret: { name: "moved-elsewhere" } });
  await eventually(async () => expect(readToken(await cluster.getSecret("moved-elsewhere"))).toBe(token));
  expect(await algorithms(databaseUrl, "moved")).toEqual(["bcrypt"]);

  const path = `/api/v1/namespaces/${cluster.namespace}/secrets/moved-elsewhere`;
  await cluster.transport.request("PATCH", path, {
    contentType: "application/merge-patch+json",
    body: { data: { token: Buffer.from(`${token}x`).toString("base64") } },
  });
  const next = await eventually(async () => {
    const held = readToken(await cluster.getSecret("moved-elsewhere"));
    expect(held).not.toBe(`${token}x`);
    return held;
  });
  expect(next).not.toBe(token);
  expect(await verifies(cluster, databaseUrl, next)).toBe(true);
});

test("the id of one token with the secret of another is not verified", async ({ cluster, databaseUrl }) => {
  const [one, two] = [
    await issueToken(cluster, "one", { owner: "dan" }),
    await issueToken(cluster, "two", { owner: "eve" }),
  ];
  expect(await verifies(cluster, databaseUrl, one)).toBe(true);
  const forged = withChecksum(one.slice(0, 16) + two.slice(16, -6));
  expect(parseTokenId(forged)).toBe(parseTokenId(one));
  expect(await verifies(cluster, databaseUrl, forged)).toBe(false);
});
