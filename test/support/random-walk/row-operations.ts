/*
 * What people do to rows with SQL, as the superuser.
 */
import type { Operation } from "./operation.ts";
import type { Walk } from "./world.ts";

const IS_LIVE = "apitoken.is_live(t, now())";
const IS_DEAD = "not apitoken.is_accepted(t, now())";

/** What must fail if the row is dead: an end that has passed can be neither moved nor taken away. */
const MUST_FAIL = [
  "expires_at = now() + interval '1 day', revoked_at = null",
  "expires_at = apitoken.accepted_until(tokens) - interval '1 second', issued_at = issued_at - interval '1 hour'",
  "grace_seconds = coalesce(grace_seconds, 0) + 86400, revoked_at = null",
  "revoked_at = 'infinity', expires_at = 'infinity'",
];

/** Changes one random row that matches `where`; returns which. */
async function changeRow({ db, random }: Walk, where: string, change: string): Promise<string> {
  const rows = await db.query<{ id: string; name: string; revision: number }>({
    text: `select id, name, revision from apitoken.tokens t where ${where} order by name, revision`,
  });
  const row = rows.length === 0 ? undefined : random.pick(rows);
  if (row === undefined) return "of none";
  await db.query({ text: `${change} where id = $1`, values: [row.id] }).catch(async (error: Error) => {
    // The controller may have ended a row since it was picked.
    const dead = await db.query({
      text: `select from apitoken.tokens t where id = $1 and ${IS_DEAD}`,
      values: [row.id],
    });
    throw dead.length === 0 ? error : new DeadRowError(error.message, { cause: error });
  });
  return `of ${row.name}, revision ${row.revision}`;
}

/** The database has refused to change a row that is dead. */
class DeadRowError extends Error {}

const change =
  (where: string, statement: string): Operation[2] =>
  (walk) =>
    changeRow(walk, where, statement).catch((error: unknown) => {
      if (error instanceof DeadRowError) return `too late: ${error.message}`;
      throw error;
    });

/** Tries to bring a dead row back, or to change when it ended. */
async function revive(walk: Walk): Promise<string> {
  const set = walk.random.pick(MUST_FAIL);
  const done = await changeRow(walk, IS_DEAD, `update apitoken.tokens set ${set}`).catch((error: unknown) => {
    if (error instanceof DeadRowError) return error;
    throw error;
  });
  if (done instanceof DeadRowError) return done.message;
  if (done !== "of none") throw new Error(`SQL has changed a dead row ${done}: ${set}`);
  return done;
}

/** Inserts a row that nobody has issued: a copy of another, as somebody might who wants a token that nobody knows of. */
async function smuggle({ db, random }: Walk): Promise<string> {
  const id = `smuggled${String(random.below(10_000)).padStart(4, "0")}`;
  const rows = await db.query<{ name: string }>({
    text: `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
             key_id, issued_at, expires_at)
           select $1::text, cluster_id, namespace, name, resource_uid, revision + 1, owner, sha256(convert_to($1::text, 'UTF8')), hash_algorithm, key_id,
             now(), now() + interval '1 day'
           from apitoken.tokens order by md5(id || $1::text) limit 1
           on conflict do nothing returning name`,
    values: [id],
  });
  return rows[0]?.name ?? "none";
}

export const ROW_OPERATIONS: readonly Operation[] = [
  [
    "SQL: revoke a row",
    4,
    change(IS_LIVE, "update apitoken.tokens set revoked_at = now(), revocation_reason = 'leaked'"),
  ],
  [
    "SQL: revoke a row soon",
    2,
    change(
      IS_LIVE,
      "update apitoken.tokens set revoked_at = now() + interval '2 seconds', revocation_reason = 'leaked'",
    ),
  ],
  ["SQL: delete a row", 4, change("true", "delete from apitoken.tokens")],
  ["SQL: extend a row", 3, change(IS_LIVE, "update apitoken.tokens set expires_at = expires_at + interval '1 day'")],
  ["SQL: let a row live forever", 1, change(IS_LIVE, "update apitoken.tokens set expires_at = 'infinity'")],
  [
    "SQL: end a row's life",
    4,
    change(`${IS_LIVE} and issued_at < now() - interval '1 second'`, "update apitoken.tokens set expires_at = now()"),
  ],
  ["SQL: change a row's scopes", 2, change(IS_LIVE, "update apitoken.tokens set scopes = '{root}'")],
  ["SQL: bring a dead row back", 4, revive],
  ["SQL: insert a row", 2, smuggle],
];
