/*
 * Vaultwarden (main since August 2025): short-lived rows of signing in. (Its sessions are JWTs; table devices has no expiry.)
 *   auth_requests (sign-in with a device): dead 5 minutes after creation_date; timestamp without time zone, UTC.
 *   twofactor_duo_ctx: dead when `exp < now`; epoch seconds.
 *   sso_auth: dead 10 minutes after created_at; timestamp without time zone, UTC.
 * Each has a job in Vaultwarden itself that deletes exactly these rows.
 * Sources:
 *   in https://github.com/dani-garcia/vaultwarden/tree/main/migrations/postgresql: 2023-06-17-200424_create_auth_requests_table
 *   (8d7b3db), 2024-06-05-131359_add_2fa_duo_store (7aaa7a3), 2025-08-20-120000_sso_nonce_to_auth (758e75e)
 *   https://github.com/dani-garcia/vaultwarden/blob/83317d90b7201779ca76fccbc93a45903a6d5ca9/src/db/models/
 *     two_factor_duo_context.rs
 *   https://github.com/dani-garcia/vaultwarden/blob/07f39d8ccc70ac62794d3a1698131f949257059b/src/db/models/sso_auth.rs
 *   purge_expired_auth_requests (src/db/models/auth_request.rs), SSO_AUTH_EXPIRATION (src/sso.rs)
 */
import type { RealSystem } from "./system.ts";

export const vaultwarden: RealSystem = {
  name: "Vaultwarden",
  version: "2025-08",
  ddl: `
create table public.users (uuid char(36) not null primary key, email text not null unique);
create table public.organizations (uuid char(36) not null primary key, name text not null);
create table public.auth_requests (
  uuid char(36) not null primary key,
  user_uuid char(36) not null,
  organization_uuid char(36),
  request_device_identifier char(36) not null,
  device_type integer not null,
  request_ip text not null,
  response_device_id char(36),
  access_code text not null,
  public_key text not null,
  enc_key text not null,
  master_password_hash text not null,
  approved boolean,
  creation_date timestamp not null,
  response_date timestamp,
  authentication_date timestamp,
  foreign key (user_uuid) references public.users (uuid),
  foreign key (organization_uuid) references public.organizations (uuid)
);
create table public.twofactor_duo_ctx (
  state varchar(64) not null,
  user_email varchar(255) not null,
  nonce varchar(64) not null,
  exp bigint not null,
  primary key (state)
);
create table public.sso_auth (
  state text not null primary key,
  client_challenge text not null,
  nonce text not null,
  redirect_uri text not null,
  code_response json,
  auth_response json,
  created_at timestamp not null default now(),
  updated_at timestamp not null default now()
);
`,
  config: `targets:
  - table: public.auth_requests
    expiresAt: { column: creation_date, plus: 5m }
    timezone: UTC
    retention: { expired: 7d }
    owner: user_uuid
  - table: public.twofactor_duo_ctx
    expiresAt: exp
    epoch: seconds
    retention: { expired: 7d }
  - table: public.sso_auth
    expiresAt: { column: created_at, plus: 10m }
    timezone: UTC
    retention: { expired: 7d }
`,
  // The live rows are made in the future by up to an hour (as if written during the test), because they live for minutes only.
  rows: `
insert into public.users (uuid, email)
select lpad(n::text, 36, '0'), 'user' || n || '@example.org' from generate_series(1, 5) n;
insert into public.organizations (uuid, name) values (lpad('1', 36, '0'), 'organization');

insert into public.auth_requests
  (uuid, user_uuid, organization_uuid, request_device_identifier, device_type, request_ip, response_device_id, access_code,
   public_key, enc_key, master_password_hash, approved, creation_date, response_date, authentication_date)
select lpad(n::text, 36, '0'), lpad((1 + n % 5)::text, 36, '0'), case when n % 6 = 0 then lpad('1', 36, '0') end,
  lpad(n::text, 36, '0'), 9, '192.0.2.1', case when n % 2 = 0 then lpad(n::text, 36, '0') end, 'code', 'key', '', '',
  case n % 3 when 0 then true when 1 then false end, r.creation_date,
  case when n % 3 < 2 then r.creation_date + interval '1 minute' end, null
from generate_series(1, 40) n,
  lateral (
    select (now() at time zone 'UTC') + case
      when n <= 14 then -interval '8 days' - n * interval '5 hours'
      when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
      else n * interval '90 seconds'
    end as creation_date
  ) r;

insert into public.twofactor_duo_ctx (state, user_email, nonce, exp)
select md5('state' || n), 'user' || n % 5 || '@example.org', md5('nonce' || n),
  extract(epoch from now())::bigint + case
    when n <= 14 then -8 * 86400 - n * 18000
    when n <= 20 then -3600 - n * 60
    else n * 90
  end
from generate_series(1, 40) n;

insert into public.sso_auth (state, client_challenge, nonce, redirect_uri, code_response, created_at, updated_at)
select md5('state' || n), md5('challenge' || n), md5('nonce' || n), 'https://example.org',
  case when n % 2 = 0 then '{}'::json end, a.created_at, a.created_at
from generate_series(1, 40) n,
  lateral (
    select (now() at time zone 'UTC') + case
      when n <= 14 then -interval '8 days' - n * interval '5 hours'
      when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
      else n * interval '90 seconds'
    end as created_at
  ) a;
`,
  tables: {
    "public.auth_requests": {
      dead: `creation_date < (now() at time zone 'UTC') - interval '5 minutes'`,
      due: `creation_date < (now() at time zone 'UTC') - interval '5 minutes' - interval '7 days'`,
    },
    "public.twofactor_duo_ctx": {
      dead: `exp < extract(epoch from now())`,
      due: `exp < extract(epoch from now()) - 7 * 86400`,
    },
    "public.sso_auth": {
      dead: `created_at < (now() at time zone 'UTC') - interval '10 minutes'`,
      due: `created_at < (now() at time zone 'UTC') - interval '10 minutes' - interval '7 days'`,
    },
  },
};
