import { beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { changeAsRestore, insertTokenRows } from "../../support/token-rows.ts";

/* An end that has passed can be neither moved nor taken away, by any login. One that has not can be. */

let url: string;
beforeAll(async () => {
  url = await createTestDatabase();
});

const STATES = {
  live: "expires_at = now() + interval '1 day'",
  overlapping: "expires_at = now() + interval '1 day', revoked_at = now() + interval '1 hour'",
  graced: "expires_at = now() - interval '1 day', grace_seconds = 7 * 86400",
  expired: "expires_at = now() - interval '1 day'",
  spent: "expires_at = now() - interval '9 days', grace_seconds = 7 * 86400",
  revoked: "expires_at = now() + interval '1 day', revoked_at = now() - interval '1 day'",
  revokedInGrace:
    "expires_at = now() - interval '2 days', grace_seconds = 7 * 86400, revoked_at = now() - interval '1 day'",
} as const;

async function change(state: keyof typeof STATES, set: string): Promise<void> {
  await runAsSuperuser(url, "truncate apitoken.tokens");
  await insertTokenRows(url, [{ count: 1, prefix: state, expires: "1 day" }]);
  await changeAsRestore(url, `update apitoken.tokens set ${STATES[state]}`);
  await runAsSuperuser(url, `update apitoken.tokens set ${set}`);
}

test.for<[state: keyof typeof STATES, how: string, set: string]>([
  ["expired", "a later expiry", "expires_at = now() + interval '1 day'"],
  ["expired", "another past expiry", "expires_at = now() - interval '1 hour'"],
  ["expired", "an earlier expiry", "expires_at = now() - interval '2 days'"],
  ["expired", "an expiry at infinity", "expires_at = 'infinity'"],
  ["expired", "a grace", "grace_seconds = 864000"],
  ["expired", "a grace that would also be over", "grace_seconds = 60"],
  ["expired", "a revocation before the expiry", "revoked_at = expires_at - interval '1 hour'"],
  ["revoked", "no revocation", "revoked_at = null"],
  ["revoked", "a later revocation", "revoked_at = now() + interval '1 day'"],
  ["revoked", "another past revocation", "revoked_at = now() - interval '1 hour'"],
  ["revoked", "an earlier revocation", "revoked_at = now() - interval '2 days'"],
  ["revoked", "an expiry before the revocation", "expires_at = revoked_at - interval '1 hour'"],
  [
    "revoked",
    "an expiry before the revocation, with a grace that is not over",
    "expires_at = revoked_at - interval '1 hour', grace_seconds = 864000",
  ],
  ["graced", "a later expiry", "expires_at = now() + interval '1 day'"],
  ["graced", "an earlier expiry", "expires_at = now() - interval '2 days'"],
  ["spent", "a longer grace", "grace_seconds = 30 * 86400"],
  ["spent", "a shorter grace", "grace_seconds = 60"],
  ["spent", "no grace", "grace_seconds = null"],
  ["revokedInGrace", "no revocation", "revoked_at = null"],
  ["revokedInGrace", "a later expiry", "expires_at = now() + interval '1 day'"],
  ["revoked", "another id, so that its own is free", "id = 'ZZZZZZZZZZZZ'"],
  ["expired", "another hash, so that its own is free", "hash = '\\x00'"],
])("a token that is %s cannot be given %s", async ([state, , set]) => {
  await expect(change(state, set)).rejects.toThrow(/token \w{12} ended at .*.*cannot be revived/);
});

test.for<[state: keyof typeof STATES, how: string, set: string]>([
  ["live", "a later expiry", "expires_at = now() + interval '2 days'"],
  ["live", "an expiry in the past", "expires_at = now() - interval '1 hour'"],
  ["live", "a revocation in the past", "revoked_at = now() - interval '1 hour'"],
  ["overlapping", "no revocation", "revoked_at = null"],
  ["overlapping", "a later revocation", "revoked_at = now() + interval '2 hours'"],
  ["overlapping", "a revocation now", "revoked_at = now()"],
  ["graced", "a revocation now", "revoked_at = now()"],
  ["graced", "no grace", "grace_seconds = null"],
  ["graced", "a shorter grace", "grace_seconds = 2 * 86400"],
  ["graced", "other scopes in its grace", "grace_scopes = '{b}', grace_seconds = grace_seconds"],
  ["expired", "a revocation that comes too late to be its end", "revoked_at = now()"],
  ["expired", "the same ends", "expires_at = expires_at, revoked_at = revoked_at, grace_seconds = grace_seconds"],
  ["revoked", "a later expiry, which changes nothing", "expires_at = now() + interval '2 days'"],
])("a token that is %s can be given %s", async ([state, , set]) => {
  await expect(change(state, set)).resolves.toBeUndefined();
});

test("a long transaction does not bring back what has ended since it began", async () => {
  await runAsSuperuser(url, "truncate apitoken.tokens");
  await insertTokenRows(url, [{ count: 1, prefix: "long", expires: "1 day" }]);
  const move = (to: string) =>
    runAsSuperuser(
      url,
      `do $$
       begin
         update apitoken.tokens set expires_at = clock_timestamp();
         perform pg_sleep(0.01);
         update apitoken.tokens set expires_at = ${to};
       end $$`,
    );
  await expect(move("clock_timestamp() + interval '1 hour'")).rejects.toThrow("cannot be revived");
  await expect(move("now()"), "whoever ends it is not to blame for the clock").resolves.toEqual([]);
});
