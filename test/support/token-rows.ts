/*
 * The cleanup is tested on many rows that are days old. Issuing them would take too long and cannot be backdated, so
 * they are inserted.
 */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import type { NewTokenRow } from "../../src/postgres/token-writes.ts";

/** A kind of rows in apitoken.tokens. Times are Postgres intervals from now, such as "-8 days". */
export interface TokenRows {
  readonly count: number;
  /** Their names are `<prefix>-<number>`. */
  readonly prefix: string;
  readonly expires: string;
  readonly revoked?: string;
}

/** Rows that a cleanup with the default retentions deletes, and rows that it must not. */
export const DUE = {
  expired: { expires: "-8 days" },
  revoked: { expires: "10 days", revoked: "-8 days" },
} as const;
export const KEPT = {
  live: { expires: "10 days" },
  superseded: { expires: "10 days", revoked: "1 hour" },
  freshlyExpired: { expires: "-1 minute" },
  freshlyRevoked: { expires: "10 days", revoked: "-1 minute" },
} as const;

/**
 * Inserts rows of several kinds in random order, as if they had accumulated over time. Their ids are scattered like
 * real ones. No trigger fires, so they are not in the audit trail.
 */
export async function insertTokenRows(url: string, kinds: readonly TokenRows[]): Promise<void> {
  await runAsSuperuser(
    url,
    `with quiet as (select set_config('session_replication_role', 'replica', false))
     insert into apitoken.tokens
       (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, hash, hash_algorithm, key_id,
        issued_at, expires_at, revoked_at, revocation_reason)
     select substr(translate(encode(sha256(convert_to(label, 'UTF8')), 'base64'), '+/', 'xy'), 1, 12),
            '11111111-1111-4111-8111-111111111111', 'team-' || number % 50, label, md5(label)::uuid, 1,
            'user-' || number % 10000, '{orders:read}', sha256(convert_to('hash of ' || label, 'UTF8')), 'hmac-sha256',
            'k1', now() - interval '60 days', now() + expires::interval, now() + revoked::interval,
            case when revoked is not null then 'RevokedBySpec' end
     from quiet, jsonb_to_recordset($1) as kind (count integer, prefix text, expires text, revoked text),
       generate_series(1, kind.count) as number, concat(kind.prefix, '-', number) as label
     order by md5(label)`,
    [JSON.stringify(kinds)],
  );
}

/** Changes rows as a restore from a backup does: no trigger fires, so not even the one that keeps ended tokens ended. */
export async function changeAsRestore(url: string, statement: string, values: readonly unknown[] = []): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica");
    await client.query(statement, [...values]);
  } finally {
    await client.end();
  }
}

/** A row to be issued, of an ApiToken of its own. */
export function aNewTokenRow(name: string, rest: Partial<NewTokenRow> = {}): NewTokenRow {
  return {
    id: randomUUID().replaceAll("-", "").slice(0, 12),
    namespace: "ns",
    name,
    resourceUid: randomUUID(),
    resourceCreatedAt: new Date(),
    revision: 1,
    owner: "alice",
    description: "",
    scopes: [],
    allowedCidrs: [],
    grace: undefined,
    rateLimit: undefined,
    activeSince: new Date(),
    requestedBy: undefined,
    hash: Buffer.from(randomUUID()),
    hashAlgorithm: "hmac-sha256",
    keyId: "p",
    encryptedMetadata: undefined,
    issuedAt: new Date(),
    expiresAt: new Date(Date.now() + 3_600_000),
    ...rest,
  };
}
