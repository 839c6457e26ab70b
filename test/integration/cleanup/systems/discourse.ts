/*
 * Discourse 3.5/2026: user_auth_tokens are sign-ins, api_keys are keys of administrators. Rails: timestamp without time zone,
 * UTC. A sign-in is valid while `rotated_at > now - maximum_session_age` (a site setting in hours; 1440 taken as its default,
 * from memory). The daily job (UserAuthToken.cleanup!) deletes those that have been dead for ten minutes. An API key is active
 * while revoked_at is null. Discourse keeps revoked keys, and staff can undo a revocation until then.
 * Sources:
 *   https://github.com/discourse/discourse/blob/09d07fc4184790aa3c69a90387afe65c98d5e47e/app/models/user_auth_token.rb
 *   https://github.com/discourse/discourse/blob/09eae9857f6084ddcc7a9dd9fcd7db057bd496fe/app/models/api_key.rb
 *   https://github.com/discourse/discourse/blob/27320a7ca29d6608f70d519935f0b1f6301fccec/db/migrate/
 *     20170124181409_add_user_auth_tokens.rb
 */
import type { RealSystem } from "./system.ts";

export const discourse: RealSystem = {
  name: "Discourse",
  version: "3.5",
  ddl: `
create table public.user_auth_tokens (
  id serial primary key,
  user_id integer not null,
  auth_token character varying not null,
  prev_auth_token character varying not null,
  user_agent character varying,
  auth_token_seen boolean not null default false,
  client_ip inet,
  rotated_at timestamp without time zone not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  seen_at timestamp without time zone,
  authenticated_with_oauth boolean default false,
  impersonated_user_id integer,
  impersonation_expires_at timestamp without time zone
);
create unique index index_user_auth_tokens_on_auth_token on public.user_auth_tokens (auth_token);
create unique index index_user_auth_tokens_on_prev_auth_token on public.user_auth_tokens (prev_auth_token);
create index index_user_auth_tokens_on_user_id on public.user_auth_tokens (user_id);
create index index_user_auth_tokens_on_impersonation_expires_at on public.user_auth_tokens
  (impersonation_expires_at) where impersonation_expires_at is not null;
create table public.api_keys (
  id serial primary key,
  user_id integer,
  created_by_id integer,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  allowed_ips inet[],
  hidden boolean not null default false,
  last_used_at timestamp without time zone,
  revoked_at timestamp without time zone,
  description text,
  key_hash character varying not null,
  truncated_key character varying not null
);
create index index_api_keys_on_key_hash on public.api_keys (key_hash);
create index index_api_keys_on_user_id on public.api_keys (user_id);
`,
  config: `targets:
  - preset: discourse
  - table: public.api_keys
    revokedAt: revoked_at
    timezone: UTC
    retention: { revoked: 7d }
    owner: user_id
`,
  rows: `
insert into public.user_auth_tokens
  (user_id, auth_token, prev_auth_token, user_agent, auth_token_seen, client_ip, rotated_at, created_at, updated_at, seen_at)
select 1 + n % 5, md5('token' || n), md5('previous' || n), case when n % 4 = 0 then null else 'agent' end, n % 2 = 0,
  '192.0.2.1',
  (now() at time zone 'UTC') - case
    when n <= 14 then interval '68 days' + n * interval '5 hours'
    when n <= 20 then interval '66 days 22 hours' + n * interval '1 minute'
    else n * interval '20 hours'
  end,
  (now() at time zone 'UTC') - interval '100 days', (now() at time zone 'UTC') - interval '100 days',
  case when n % 2 = 0 then (now() at time zone 'UTC') - interval '1 hour' end
from generate_series(1, 40) n;

insert into public.api_keys
  (user_id, created_by_id, created_at, updated_at, allowed_ips, last_used_at, revoked_at, description, key_hash, truncated_key)
select case when n % 5 = 0 then null else n % 7 end, 1,
  (now() at time zone 'UTC') - interval '200 days', (now() at time zone 'UTC') - interval '30 days',
  case when n % 6 = 0 then array['192.0.2.0/24'::inet] end,
  case when n % 3 = 0 then null else (now() at time zone 'UTC') - n * interval '1 day' end,
  case
    when n <= 14 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n <= 20 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
  end,
  'key ' || n, md5('key' || n), left(md5('key' || n), 4)
from generate_series(1, 40) n;
`,
  tables: {
    "public.user_auth_tokens": {
      dead: `rotated_at <= (now() at time zone 'UTC') - interval '1440 hours'`,
      due: `rotated_at < (now() at time zone 'UTC') - interval '1440 hours' - interval '7 days'`,
    },
    "public.api_keys": {
      dead: `revoked_at is not null`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
