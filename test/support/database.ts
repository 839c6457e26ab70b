/*
 * Every test file gets its own database, cloned from a migrated template, and looks at rows as the superuser: tests
 * judge by what is stored, not by what the program reports.
 */
import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import { type VerifiedToken, verifyToken } from "../../local/verify-token.ts";
import { loadKeyring } from "../../src/controller/keyring/secret.ts";
import { type DatabaseRole, openDatabase } from "../../src/postgres/database.ts";
import { createTokenHasher } from "../../src/runtime/token-hash.ts";
import type { Keyring } from "../../src/token/keyring.ts";
import type { TokenRequest } from "../../src/token/verdict.ts";
import type { TestCluster } from "./cluster.ts";
import { TEMPLATE_DATABASE } from "./global-setup.ts";

/** Creates a migrated database for one test file. Returns its URL for the superuser. */
export async function createTestDatabase(): Promise<string> {
  const { postgresUrl } = inject("servers");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await runAsSuperuser(postgresUrl, `create database ${name} template ${TEMPLATE_DATABASE}`);
  return postgresUrl.replace(/\/postgres$/, `/${name}`);
}

/** A login of the server that a test has created. */
export interface TestLogin {
  readonly name: string;
  /** The database's URL with this login. */
  readonly url: string;
}

/** Creates a login with a name of its own, as a member of `role`; without one it has no rights. The test drops it. */
export async function createLogin(url: string, role?: DatabaseRole): Promise<TestLogin> {
  const name = `login_${randomBytes(6).toString("hex")}`;
  const membership = role === undefined ? "" : ` in role ${role}`;
  await runAsSuperuser(url, `create role ${name} login password 'test'${membership}`);
  const address = new URL(url);
  address.username = name;
  address.password = "test";
  return { name, url: address.href };
}

/** A row of apitoken.tokens, with the columns that tests use. */
export interface TokenRowView {
  id: string;
  cluster_id: string;
  namespace: string;
  name: string;
  resource_uid: string;
  revision: number;
  owner: string;
  scopes: string[];
  rate_limit_requests: number | null;
  rate_limit_seconds: number | null;
  hash: Buffer;
  key_id: string;
  issued_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  revocation_reason: string | null;
  is_live: boolean;
}

/** All rows of an ApiToken's name, oldest first. */
export function findRows(url: string, name: string): Promise<TokenRowView[]> {
  return runAsSuperuser<TokenRowView>(
    url,
    `select *, apitoken.is_live(t, now()) as is_live
     from apitoken.tokens t where name = $1 order by issued_at, revision`,
    [name],
  );
}

/** The audit trail of an ApiToken's name, in the order in which it was written. */
export function findEvents(
  url: string,
  name: string,
): Promise<{ event: string; reason: string | null; actor: string; token_id: string }[]> {
  return runAsSuperuser(url, "select * from apitoken.security_events where name = $1 order by id", [name]);
}

/**
 * Whether a token is live by the project's own code: its row exists, its hash fits, and the database says it is live.
 */
export async function verifies(
  cluster: TestCluster,
  url: string,
  plaintext: string,
  request?: TokenRequest,
): Promise<boolean> {
  return (await verify(cluster, url, plaintext, request)) !== undefined;
}

const hasher = createTokenHasher();

/** The keyring of a cluster's controller. */
export function readKeyring({ transport, namespace }: TestCluster): Promise<Keyring> {
  return loadKeyring(transport, { namespace, name: "apitoken-keyring" }, () => Promise.resolve(true));
}

/** What a verifier learns of a token. */
export async function verify(
  cluster: TestCluster,
  url: string,
  plaintext: string,
  request?: TokenRequest,
): Promise<VerifiedToken | undefined> {
  const db = openDatabase({ url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
  try {
    const keyring = await readKeyring(cluster);
    return await verifyToken({ db, keyring, hasher }, plaintext, request);
  } finally {
    await db.close();
  }
}
