/*
 * The lookup that verifies a token, on rows written by hand: every way in which a token can fail, with the real statement.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { verifyToken } from "../../../local/verify-token.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";

const keyring = createKeyring();
const [pepper] = keyring.peppers;
const hasher = createTokenHasher();

let url: string;
let db: Database;
beforeAll(async () => {
  url = await createTestDatabase();
  db = openDatabase({ url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
});
afterAll(() => db?.close());

/** Inserts the row of a new token; `changes` are SQL assignments. Returns its plaintext. */
async function issue(changes = "owner = owner"): Promise<string> {
  const { id, plaintext } = createToken();
  const hash = hashToken(plaintext, pepper);
  await runAsSuperuser(
    url,
    `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, allowed_cidrs,
       hash, hash_algorithm, key_id, issued_at, expires_at)
     values ($1, gen_random_uuid(), 'shop', 'orders', gen_random_uuid(), 1, 'alice', '{read,write}', '{10.0.0.0/8}',
       $2, 'hmac-sha256', $3, now() - interval '1 day', now() + interval '1 day')`,
    [id, hash, pepper.id],
  );
  await runAsSuperuser(url, `update apitoken.tokens set ${changes} where id = $1`, [id]);
  return plaintext;
}

const PAST = "expires_at = now() - interval '1 minute'";
const IN_GRACE = `${PAST}, grace_seconds = 3600, grace_scopes = '{read}'`;

test.each([
  ["without a request", undefined, {}, ["read", "write"]],
  ["from an allowed address, for its scopes", undefined, { address: "10.1.2.3", scopes: ["write"] }, ["read", "write"]],
  ["that ends at infinity", "expires_at = 'infinity'", {}, ["read", "write"]],
  ["whose revocation is in the future", "revoked_at = now() + interval '1 minute'", {}, ["read", "write"]],
  ["in its grace, for a grace scope", IN_GRACE, { scopes: ["read"] }, ["read"]],
])("a token %s is verified", async (_, changes, request, scopes) => {
  const plaintext = await issue(changes);
  expect(await verifyToken({ db, keyring, hasher }, plaintext, request)).toMatchObject({
    id: plaintext.slice(4, 16),
    owner: "alice",
    scopes,
    metadata: {},
  });
});

test.each([
  ["from another address", undefined, { address: "192.0.2.1" }],
  ["without a scope that is needed", undefined, { scopes: ["read", "delete"] }],
  ["after its expiry", PAST, {}],
  ["after its revocation", "revoked_at = now()", {}],
  ["in its grace, for another scope", IN_GRACE, { scopes: ["write"] }],
  ["revoked in its grace", `${IN_GRACE}, revoked_at = now()`, {}],
  ["after its grace", `${PAST}, grace_seconds = 30`, {}],
  ["whose row has another hash", "hash = sha256('another')", {}],
  ["whose row is gone", "id = 'goneGoneGone'", {}],
])("a token %s is refused", async (_, changes, request) => {
  expect(await verifyToken({ db, keyring, hasher }, await issue(changes), request)).toBeUndefined();
  await runAsSuperuser(url, "delete from apitoken.tokens");
});

test("a token whose pepper is not in the keyring is neither good nor refused", async () => {
  const plaintext = await issue("key_id = 'p-unknown'");
  await expect(verifyToken({ db, keyring, hasher }, plaintext)).rejects.toThrow("KeyUnknown");
  await runAsSuperuser(url, "delete from apitoken.tokens");
});

test("a malformed token is refused without a query", async () => {
  const neverAsked: Pick<Database, "query"> = { query: () => Promise.reject(new Error("asked")) };
  const plaintext = await issue();
  for (const text of ["", "apt_", plaintext.slice(0, -1), `${plaintext} `, plaintext.replace("apt_", "apx_")]) {
    expect(await verifyToken({ db: neverAsked, keyring, hasher }, text)).toBeUndefined();
  }
});
