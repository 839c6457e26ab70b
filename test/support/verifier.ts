/*
 * A verifier in the test's process, on tokens that the test writes by hand, so that a test can be about any row.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import { formatKeyring } from "../../src/runtime/keyring-json.ts";
import { createLogger } from "../../src/runtime/log.ts";
import { hashToken, type Keyring } from "../../src/token/keyring.ts";
import { createToken } from "../../src/token/token-string.ts";
import { readVerifierConfig } from "../../src/verifier/config.ts";
import { startVerifier, type Verifier } from "../../src/verifier/verifier.ts";
import { eventually } from "./eventually.ts";

export interface TestVerifier extends Verifier {
  /** Where gateways, and backends, ask. */
  readonly gatewayUrl: string;
  readonly introspectionUrl: string;
  readonly httpUrl: string;
  /** The file of the mounted keyring. */
  readonly keyringFile: string;
  /** Replaces the mounted keyring. */
  writeKeyring(keyring: Keyring): void;
  /** What it has logged. */
  readonly log: readonly string[];
}

export interface TestVerifierOptions {
  readonly url: string;
  readonly keyring: Keyring;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a verifier on free ports; it need not be ready yet. */
export async function startTestVerifier({ url, keyring, settings = {} }: TestVerifierOptions): Promise<TestVerifier> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-verifier-"));
  const keyringFile = join(folder, "keyring.json");
  const writeKeyring = (next: Keyring) => writeFileSync(keyringFile, formatKeyring(next));
  writeKeyring(keyring);
  const config = readVerifierConfig({
    DATABASE_URL: url,
    APITOKEN_KEYRING_FILE: keyringFile,
    APITOKEN_VERIFIER_PORT: "0",
    APITOKEN_VERIFIER_INTROSPECTION_PORT: "0",
    APITOKEN_VERIFIER_GRPC_PORT: "0",
    APITOKEN_HTTP_PORT: "0",
    APITOKEN_VERIFIER_DRAIN: "0s",
    ...settings,
  });
  const log: string[] = [];
  const logger = createLogger("verifier", "debug", { write: (line) => void log.push(line) });
  const verifier = await startVerifier(config, "test", logger);
  verifier.finished.catch(() => {});
  let stopped: Promise<void> | undefined;
  return {
    ...verifier,
    gatewayUrl: `http://127.0.0.1:${verifier.gatewayPort}`,
    introspectionUrl: `http://127.0.0.1:${verifier.introspectionPort}`,
    httpUrl: `http://127.0.0.1:${verifier.httpPort}`,
    keyringFile,
    writeKeyring,
    log,
    stop() {
      stopped ??= verifier.stop().finally(() => rmSync(folder, { recursive: true, force: true }));
      return stopped;
    },
  };
}

/** The value of a metric, with its labels as they are exported; NaN if there is none. */
export async function readVerifierMetric({ httpUrl }: Pick<TestVerifier, "httpUrl">, name: string): Promise<number> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  return Number(new RegExp(`^${name.replaceAll(/[{}"]/g, "\\$&")} (\\S+)$`, "m").exec(text)?.[1]);
}

/** Waits until a verifier answers from memory. */
export async function untilFresh(verifier: Pick<TestVerifier, "httpUrl">): Promise<void> {
  await eventually(async () => (await readVerifierMetric(verifier, "apitoken_verifier_fresh")) === 1);
}

/** A token that a test has issued by hand. */
export interface HandMadeToken {
  readonly id: string;
  readonly plaintext: string;
}

/** Asks on `/verify` about a token, and returns the status. */
export async function ask(
  { gatewayUrl }: Pick<TestVerifier, "gatewayUrl">,
  { plaintext }: Pick<HandMadeToken, "plaintext">,
): Promise<number> {
  const { status } = await fetch(`${gatewayUrl}/verify`, { headers: { authorization: `Bearer ${plaintext}` } });
  return status;
}

/** Inserts the row of a new token of alice's, for a day, with the scopes read and write; `changes` are SQL assignments. */
export async function issueByHand(url: string, keyring: Keyring, changes?: string): Promise<HandMadeToken> {
  const { id, plaintext } = createToken();
  const [pepper] = keyring.peppers;
  const hash = hashToken(plaintext, pepper).toString("hex");
  // In one transaction: a verifier may read what is issued at once.
  await runAsSuperuser(
    url,
    `begin;
     insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, hash, hash_algorithm,
       key_id, issued_at, expires_at)
     values ('${id}', '11111111-1111-4111-8111-111111111111', 'shop', 'orders', gen_random_uuid(), 1, 'alice', '{read,write}',
       '\\x${hash}', 'hmac-sha256', '${pepper.id}', now() - interval '2 days', now() + interval '1 day');
     ${changes === undefined ? "" : `update apitoken.tokens set ${changes} where id = '${id}';`}
     commit`,
  );
  return { id, plaintext };
}

/**
 * Inserts many tokens as `issueByHand` does, each of an ApiToken of its own, in one statement and as a restore would: no trigger
 * fires. 1,000 owners in 50 namespaces have them.
 */
export async function issueManyByHand(url: string, keyring: Keyring, count: number): Promise<HandMadeToken[]> {
  const [pepper] = keyring.peppers;
  const tokens = Array.from({ length: count }, () => createToken());
  await runAsSuperuser(
    url,
    `with quiet as (select set_config('session_replication_role', 'replica', false))
     insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, hash, hash_algorithm,
       key_id, issued_at, expires_at)
     select id, '11111111-1111-4111-8111-111111111111', 'team-' || number % 50, 'token-' || number, gen_random_uuid(), 1,
       'user-' || number % 1000, '{read,write}', hash, 'hmac-sha256', $3, now() - interval '2 days', now() + interval '1 day'
     from quiet, unnest($1::text[], $2::bytea[]) with ordinality as token (id, hash, number)`,
    [tokens.map(({ id }) => id), tokens.map(({ plaintext }) => hashToken(plaintext, pepper)), pepper.id],
  );
  return tokens;
}

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A well-formed token with this one's id, and another secret. */
export function forgeSecret({ id }: Pick<HandMadeToken, "id">): string {
  const body = `apt_${id}${createToken().plaintext.slice(16, 59)}`;
  let checksum = "";
  for (let rest = crc32(body); checksum.length < 6; rest = Math.floor(rest / 62)) {
    checksum = BASE62.charAt(rest % 62) + checksum;
  }
  return body + checksum;
}

/** Changes the row of a token; `changes` are SQL assignments. */
export async function changeByHand(url: string, { id }: Pick<HandMadeToken, "id">, changes: string): Promise<void> {
  await runAsSuperuser(url, `update apitoken.tokens set ${changes} where id = $1`, [id]);
}

/** The same, without triggers: nobody is notified. */
export async function changeSilently(url: string, { id }: Pick<HandMadeToken, "id">, changes: string): Promise<void> {
  await runAsSuperuser(
    url,
    `with quiet as materialized (select set_config('session_replication_role', 'replica', false))
     update apitoken.tokens set ${changes} from quiet where id = $1`,
    [id],
  );
}

/** Blocks an owner as a controller would record it. */
export async function blockByHand(url: string, owner: string, effectiveAt = "now()"): Promise<void> {
  await runAsSuperuser(
    url,
    `insert into apitoken.blocked_owners (cluster_id, uid, name, owner, reason, effective_at)
     values ('11111111-1111-4111-8111-111111111111', gen_random_uuid(), gen_random_uuid()::text, $1, 'test', ${effectiveAt})`,
    [owner],
  );
}
