/*
 * Authelia 4.38: mailed identity verifications, one-time codes and used JWT ids.
 *
 * Times are timestamptz. identity_verification (a JWT's id) and one_time_code are dead when exp / expires has passed, and at
 * once when "consumed" or "revoked" holds a time. oauth2_blacklisted_jti: expires_at. Authelia never deletes any of them.
 * The oauth2_*_session tables keep their expiry inside session_data (encrypted): see NOTES-1.md.
 *
 * Sources (https://github.com/authelia/authelia/blob/<commit>/internal/storage/migrations/...):
 *   V0001.Initial_Schema.postgres.up.sql         @8aca045e2960eb6a39ec5bcf67b74efca1fe7c9c
 *   V0004.OpenIDConnect.postgres.up.sql          @3c2897309c775757edea99cb5e956a5e836e3e4b
 *   V0013.OneTimeCode.postgres.up.sql            @e618cf341627a89b5fec594090cf765c86aafaad
 *   V0014.RevokeResetPasswordJWT.postgres.up.sql @e95271cd6ecf091c1701b9d4d11a7e0adde32de6
 *   and internal/storage/sql_provider_queries.go of 4.38 (consumed, revoked)
 */
import type { RealSystem } from "./system.ts";

/** 1-10 expired long ago; 11-14 consumed, 15-18 revoked long ago; 19-24 each of it later; the others alive. */
const expiry = `now() + case
    when i <= 10 then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i between 19 and 20 then -(interval '6 days 22 hours' + i * interval '1 minute')
    else i * interval '10 minutes' end`;
const consumed = `case
    when i between 11 and 14 then now() - interval '7 days 1 hour' - i * interval '80 minutes'
    when i between 21 and 22 then now() - interval '6 days 22 hours' - i * interval '1 minute' end`;
const revoked = `case
    when i between 15 and 18 then now() - interval '7 days 1 hour' - i * interval '70 minutes'
    when i between 23 and 24 then now() - interval '6 days 22 hours' - i * interval '1 minute' end`;

const dead = (column: string): { dead: string; due: string } => ({
  dead: `(${column} < now() or consumed is not null or revoked is not null)`,
  due: `(least(${column}, consumed, revoked) < now() - interval '7 days')`,
});

export const authelia: RealSystem = {
  name: "Authelia",
  version: "4.38",
  ddl: `
create table identity_verification (
  id serial constraint identity_verification_pkey primary key,
  jti char(36),
  iat timestamp with time zone not null default current_timestamp,
  issued_ip varchar(39) not null,
  exp timestamp with time zone not null,
  username varchar(100) not null,
  action varchar(50) not null,
  consumed timestamp with time zone null default null,
  consumed_ip varchar(39) null default null,
  revoked timestamp with time zone null default null,
  revoked_ip varchar(39) null default null
);
create unique index identity_verification_jti_key on identity_verification (jti);
create table one_time_code (
  id serial constraint one_time_code_pkey primary key,
  public_id char(36) not null,
  signature varchar(128) not null,
  issued timestamp with time zone not null default current_timestamp,
  issued_ip varchar(39) not null,
  expires timestamp with time zone not null,
  username varchar(100) not null,
  intent varchar(100) not null,
  consumed timestamp with time zone null default null,
  consumed_ip varchar(39) null default null,
  revoked timestamp with time zone null default null,
  revoked_ip varchar(39) null default null,
  code bytea not null
);
create unique index one_time_code_lookup_key on one_time_code (signature, username);
create index one_time_code_lookup on one_time_code (signature, username);
create table oauth2_blacklisted_jti (
  id serial,
  signature varchar(64) not null,
  expires_at timestamp with time zone not null default current_timestamp,
  primary key (id)
);
create unique index oauth2_blacklisted_jti_signature_key on oauth2_blacklisted_jti (signature);`,
  config: `targets:
  - preset: authelia
`,
  rows: `
insert into identity_verification (jti, iat, issued_ip, exp, username, action, consumed, consumed_ip, revoked, revoked_ip)
select case when i < 45 then md5('jti ' || i)::uuid::text end, now() - interval '30 days', '10.0.0.1', ${expiry},
  'user' || i % 7, 'ResetPassword', ${consumed}, case when i between 11 and 14 then '10.0.0.2' end, ${revoked},
  case when i between 15 and 18 then '10.0.0.3' end
from generate_series(1, 46) i;
insert into one_time_code (public_id, signature, issued, issued_ip, expires, username, intent, consumed, revoked, code)
select md5('public ' || i)::uuid::text, md5('signature ' || i), now() - interval '30 days', '10.0.0.1', ${expiry},
  'user' || i % 7, 'use', ${consumed}, ${revoked}, decode('00ff', 'hex')
from generate_series(1, 46) i;
insert into oauth2_blacklisted_jti (signature, expires_at)
select md5('used ' || i), ${expiry} from generate_series(1, 40) i;`,
  tables: {
    "public.identity_verification": dead("exp"),
    "public.one_time_code": dead("expires"),
    "public.oauth2_blacklisted_jti": { dead: "expires_at < now()", due: "expires_at < now() - interval '7 days'" },
  },
};
