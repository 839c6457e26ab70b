/*
 * Tokens for the hour in which nothing else works. Off by default, and never used unseen.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { type BreakGlassEntry, createBreakGlassToken } from "../../../src/verifier/break-glass/tokens.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { issueByHand, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();
const HOUR_MS = 3_600_000;

/** Nothing listens there. */
const NO_DATABASE = "postgres://nobody@127.0.0.1:1/nothing";

const folder = mkdtempSync(join(tmpdir(), "apitoken-break-glass-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file of its own, with these tokens. */
function aFile(...tokens: readonly BreakGlassEntry[]) {
  const path = join(folder, randomUUID());
  const write = (...those: readonly BreakGlassEntry[]) => writeFileSync(path, JSON.stringify({ tokens: those }));
  write(...tokens);
  return { path, write };
}

const aToken = (lifetimeMs = HOUR_MS) =>
  createBreakGlassToken({ name: "on-call", owner: "operators", scopes: ["orders:read"] }, lifetimeMs);

async function withVerifier(
  url: string,
  settings: Record<string, string>,
  work: (verifier: TestVerifier) => Promise<void>,
): Promise<void> {
  const verifier = await startTestVerifier({ url, keyring, settings });
  try {
    await work(verifier);
  } finally {
    await verifier.stop();
  }
}

const verify = ({ gatewayUrl }: TestVerifier, token: string, path = "/verify") =>
  fetch(gatewayUrl + path, { headers: { authorization: `Bearer ${token}` } });

const uses = async ({ httpUrl }: TestVerifier) =>
  /^apitoken_verifier_break_glass_uses_total (\d+)$/m.exec(await (await fetch(`${httpUrl}/metrics`)).text())?.[1];

test("a break-glass token works without a database, is never kept by a gateway, and every use is logged and counted", async () => {
  const { plaintext, entry } = aToken();
  const file = aFile(entry);
  const settings = { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file.path, APITOKEN_VERIFIER_MAX_AGE: "1m" };
  await withVerifier(NO_DATABASE, settings, async (verifier) => {
    expect(await uses(verifier)).toBe("0");
    const response = await verify(verifier, plaintext, "/verify/scope/orders:read/-/");
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-auth-owner")).toBe("operators");
    expect(response.headers.get("x-auth-name")).toBe("on-call");
    expect((await verify(verifier, plaintext, "/verify/scope/orders:write/-/")).status).toBe(403);
    expect((await verify(verifier, plaintext)).status).toBe(200);

    expect(await uses(verifier)).toBe("2");
    const logged = verifier.log.filter((line) => line.includes("a break-glass token was used"));
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { tokenId: entry.id, owner: "operators", face: "verify", address: "127.0.0.1" },
      { tokenId: entry.id },
    ]);
    expect(verifier.log.join("")).not.toContain(plaintext.slice(16));
    expect(verifier.log.join("")).not.toContain(entry.sha256);
  });
});

test("without the setting there is no break-glass token, and without the database nothing is known", async () => {
  await withVerifier(NO_DATABASE, {}, async (verifier) => {
    expect((await verify(verifier, aToken().plaintext)).status).toBe(503);
  });
});

test("a wrong secret, an expired token and one that was taken out of the file are refused like any other", async () => {
  const [good, expired] = [aToken(), aToken(-1)];
  const other = aToken();
  const file = aFile(good.entry, expired.entry, { ...other.entry, sha256: good.entry.sha256 });
  const url = await createTestDatabase();
  await withVerifier(url, { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file.path }, async (verifier) => {
    await verifier.ready;
    const refusal = async (token: string) => {
      const response = await verify(verifier, token);
      const headers = [...response.headers].filter(([name]) => name !== "date");
      return { status: response.status, headers };
    };
    const revoked = await issueByHand(url, keyring, "revoked_at = now()");
    const expected = await refusal(revoked.plaintext);
    expect(expected.status).toBe(401);
    expect(await refusal(other.plaintext)).toEqual(expected);
    expect(await refusal(expired.plaintext)).toEqual(expected);
    expect((await verify(verifier, good.plaintext)).status).toBe(200);

    file.write();
    await eventually(async () => expect(await refusal(good.plaintext)).toEqual(expected));
    expect(await uses(verifier)).not.toBe("0");
  });
});

test("a file that is damaged later leaves the last tokens in place; one that is damaged at the start ends the program", async () => {
  const { plaintext, entry } = aToken();
  const file = aFile(entry);
  const settings = { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file.path };
  await withVerifier(NO_DATABASE, settings, async (verifier) => {
    writeFileSync(file.path, "{");
    await eventually(() => verifier.log.some((line) => line.includes("the break-glass tokens cannot be read")));
    expect((await verify(verifier, plaintext)).status).toBe(200);
  });
  await expect(startTestVerifier({ url: NO_DATABASE, keyring, settings })).rejects.toThrow(
    /does not list break-glass tokens/,
  );
});

test.for(["answers", "is away"] as const)(
  "whoever ends a break-glass token through the verifier is not told that it has ended, while the database %s",
  async (state) => {
    const { plaintext, entry } = aToken();
    const file = aFile(entry);
    const settings = { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file.path };
    const url = state === "answers" ? await createTestDatabase() : NO_DATABASE;
    await withVerifier(url, settings, async (verifier) => {
      const post = async (path: string, body: string | URLSearchParams) =>
        (await fetch(verifier.introspectionUrl + path, { method: "POST", body })).status;
      expect(await post("/revoke", new URLSearchParams({ token: plaintext }))).toBe(503);
      expect(await post("/leaks", JSON.stringify({ tokens: [plaintext] }))).toBe(503);
      expect((await verify(verifier, plaintext)).status).toBe(200);
    });
  },
);

test("the command makes a token that the file's entry fits", async () => {
  const program = fileURLToPath(new URL("../../../src/verifier/main.ts", import.meta.url));
  const args = [
    program,
    "break-glass",
    "on-call",
    "--scopes",
    "a,b",
    "--expires-in",
    "1h",
    "--prefix",
    "acme",
    "-o",
    "json",
  ];
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status).toBe(0);
  const { token, entry } = JSON.parse(stdout) as { token: string; entry: BreakGlassEntry };
  expect(entry).toMatchObject({ name: "on-call", owner: "on-call", scopes: ["a", "b"] });
  expect(token).toMatch(/^acme_/);
  expect(JSON.stringify(entry)).not.toContain(token);
  const file = aFile(entry);
  await withVerifier(NO_DATABASE, { APITOKEN_VERIFIER_BREAK_GLASS_FILE: file.path }, async (verifier) => {
    expect((await verify(verifier, token, "/verify?scope=b")).status).toBe(200);
  });
});
