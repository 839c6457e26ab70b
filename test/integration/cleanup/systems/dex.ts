/*
 * Dex 2.40+: authorization requests, codes and the device flow.
 *
 * expiry is timestamptz, not null. Dex' own garbage collection deletes "expiry < now" from these four tables. Refresh
 * tokens have no expiry of their own: it depends on Dex' configuration, and offline_session lists them in a JSON value
 * (see NOTES-1.md). No foreign keys.
 *
 * Sources: https://github.com/dexidp/dex/blob/master/storage/sql/migrate.go (up to "hmac_key"; read in two versions, the
 *            older one at 0262f748ee67d34955bf27307269cd7b9586f544)
 *          https://github.com/dexidp/dex/blob/master/storage/sql/crud.go (GarbageCollect)
 */
import type { RealSystem } from "./system.ts";

/** 1-16 long past, 17-19 past, but not for long enough, the others ahead. */
const expiry = `now() + case
    when i <= 16 then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i <= 19 then -(interval '6 days 22 hours' + i * interval '1 minute')
    else i * interval '10 minutes' end`;

const json = "convert_to('[]', 'UTF8')";
const expired = { dead: "expiry < now()", due: "expiry < now() - interval '7 days'" };

const claims = `
  claims_user_id text not null,
  claims_username text not null,
  claims_email text not null,
  claims_email_verified boolean not null,
  claims_groups bytea not null,
  connector_id text not null,
  connector_data bytea,
  expiry timestamptz not null,
  claims_preferred_username text not null default '',
  code_challenge text not null default '',
  code_challenge_method text not null default ''`;

export const dex: RealSystem = {
  name: "Dex",
  version: "2.40",
  ddl: `
create table auth_request (
  id text not null primary key,
  client_id text not null,
  response_types bytea not null,
  scopes bytea not null,
  redirect_uri text not null,
  nonce text not null,
  state text not null,
  force_approval_prompt boolean not null,
  logged_in boolean not null,${claims},
  hmac_key bytea
);
create table auth_code (
  id text not null primary key,
  client_id text not null,
  scopes bytea not null,
  nonce text not null,
  redirect_uri text not null,${claims}
);
create table device_request (
  user_code text not null primary key,
  device_code text not null,
  client_id text not null,
  client_secret text,
  scopes bytea not null,
  expiry timestamptz not null
);
create table device_token (
  device_code text not null primary key,
  status text not null,
  token bytea,
  expiry timestamptz not null,
  last_request timestamptz not null,
  poll_interval integer not null,
  code_challenge text not null default '',
  code_challenge_method text not null default ''
);`,
  config: `targets:
  - preset: dex
`,
  rows: `
insert into auth_request (id, client_id, response_types, scopes, redirect_uri, nonce, state, force_approval_prompt,
  logged_in, claims_user_id, claims_username, claims_email, claims_email_verified, claims_groups, connector_id, expiry,
  hmac_key)
select md5('request ' || i), 'app', ${json}, ${json}, 'https://app.example/cb', '', 'state', false, i % 2 = 0, '', '', '',
  false, ${json}, 'ldap', ${expiry}, case when i % 3 > 0 then decode(md5('hmac ' || i), 'hex') end
from generate_series(1, 40) i;
insert into auth_code (id, client_id, scopes, nonce, redirect_uri, claims_user_id, claims_username, claims_email,
  claims_email_verified, claims_groups, connector_id, connector_data, expiry)
select md5('code ' || i), 'app', ${json}, '', 'https://app.example/cb', 'user-' || i % 7, 'User', 'user@example.com', true,
  ${json}, 'ldap', case when i % 2 = 0 then ${json} end, ${expiry}
from generate_series(1, 40) i;
insert into device_request (user_code, device_code, client_id, client_secret, scopes, expiry)
select 'USER-' || i, md5('device ' || i), 'tv', case when i % 2 = 0 then 'secret' end, ${json}, ${expiry}
from generate_series(1, 40) i;
insert into device_token (device_code, status, token, expiry, last_request, poll_interval)
select md5('device ' || i), case when i % 3 = 0 then 'complete' else 'pending' end, case when i % 3 = 0 then ${json} end,
  ${expiry}, '0001-01-01 00:00:00+00', 5
from generate_series(1, 40) i;`,
  tables: {
    "public.auth_request": expired,
    "public.auth_code": expired,
    "public.device_request": expired,
    "public.device_token": expired,
  },
};
