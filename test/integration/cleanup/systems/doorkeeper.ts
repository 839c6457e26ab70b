/*
 * Doorkeeper 5 (Rails 7): OAuth access tokens and grants. Times are timestamp without time zone in UTC, the life is in seconds:
 * expired when `created_at + expires_in` has passed; expires_in null: never. Revoked when `revoked_at` has passed; it may be
 * in the future (revoke_in: a used refresh token gets a grace). `rake doorkeeper:db:cleanup` deletes all revoked rows, expired
 * grants, and expired tokens without a refresh token: an expired token with one can still be refreshed, so it is alive. Not in
 * the rows: expires_in 0, which Doorkeeper takes as expired at once and our plusSeconds as no expiry.
 * Sources:
 *   https://github.com/doorkeeper-gem/doorkeeper/blob/199b0bc4c7e5cb4713759053116d5083aa1ffc53/lib/generators/doorkeeper/
 *     templates/migration.rb.erb
 *   https://github.com/doorkeeper-gem/doorkeeper/blob/185718644d6c64e67abada96798c4235e49173a6/lib/doorkeeper/orm/
 *     active_record/stale_records_cleaner.rb
 *   https://github.com/doorkeeper-gem/doorkeeper/blob/3e377489bf3585e7b649ab3a44bef0105e6d160d/lib/doorkeeper/rake/db.rake
 *   https://github.com/doorkeeper-gem/doorkeeper/blob/4d7c82b890604160578e35b66ed87bb9af10634d/lib/doorkeeper/models/concerns/
 *     expirable.rb, and revocable.rb (12cbc28)
 */
import type { RealSystem } from "./system.ts";

export const doorkeeper: RealSystem = {
  name: "Doorkeeper",
  version: "5",
  ddl: `
create table public.oauth_applications (
  id bigserial primary key,
  name character varying not null,
  uid character varying not null,
  secret character varying not null,
  redirect_uri text not null,
  scopes character varying not null default '',
  confidential boolean not null default true,
  created_at timestamp(6) without time zone not null,
  updated_at timestamp(6) without time zone not null
);
create unique index index_oauth_applications_on_uid on public.oauth_applications (uid);
create table public.oauth_access_grants (
  id bigserial primary key,
  resource_owner_id bigint not null,
  application_id bigint not null references public.oauth_applications (id),
  token character varying not null,
  expires_in integer not null,
  redirect_uri text not null,
  scopes character varying not null default '',
  created_at timestamp(6) without time zone not null,
  revoked_at timestamp(6) without time zone
);
create index index_oauth_access_grants_on_resource_owner_id on public.oauth_access_grants (resource_owner_id);
create index index_oauth_access_grants_on_application_id on public.oauth_access_grants (application_id);
create unique index index_oauth_access_grants_on_token on public.oauth_access_grants (token);
create table public.oauth_access_tokens (
  id bigserial primary key,
  resource_owner_id bigint,
  application_id bigint not null references public.oauth_applications (id),
  token character varying not null,
  refresh_token character varying,
  expires_in integer,
  scopes character varying,
  created_at timestamp(6) without time zone not null,
  revoked_at timestamp(6) without time zone,
  previous_refresh_token character varying not null default ''
);
create index index_oauth_access_tokens_on_resource_owner_id on public.oauth_access_tokens (resource_owner_id);
create index index_oauth_access_tokens_on_application_id on public.oauth_access_tokens (application_id);
create unique index index_oauth_access_tokens_on_token on public.oauth_access_tokens (token);
create unique index index_oauth_access_tokens_on_refresh_token on public.oauth_access_tokens (refresh_token);
`,
  config: `targets:
  - preset: doorkeeper
`,
  // Tokens: 1-10 expired, 11-16 revoked with a refresh token, 17-20 revoked without expiry (all long ago), 21-26 expired and
  // 27-30 revoked recently, 31-36 expired long ago but refreshable, 37-40 without expiry, 41-44 revoked in the future, 45-64
  // live.
  rows: `
insert into public.oauth_applications (id, name, uid, secret, redirect_uri, created_at, updated_at)
select n, 'app ' || n, 'uid' || n, 'secret', 'https://example.org', now() at time zone 'UTC', now() at time zone 'UTC'
from generate_series(1, 3) n;

insert into public.oauth_access_tokens
  (resource_owner_id, application_id, token, refresh_token, expires_in, scopes, created_at, revoked_at)
select case when n % 10 = 0 then null else n % 7 end, 1 + n % 3, 'token' || n,
  case
    when n between 11 and 16 or n between 27 and 36 or n between 41 and 44 or (n >= 45 and n % 2 = 0) then 'refresh' || n
  end,
  case when n between 17 and 20 or n between 37 and 40 then null else 7200 end,
  'read',
  (now() at time zone 'UTC') - case
    when n <= 10 then interval '9 days' + n * interval '5 hours'
    when n <= 20 then interval '30 days' + n * interval '5 hours'
    when n <= 26 then interval '7 days' + n * interval '1 minute'
    when n <= 30 then interval '2 hours'
    when n <= 40 then interval '40 days' + n * interval '5 hours'
    else n * interval '1 minute'
  end,
  case
    when n between 11 and 20 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n between 27 and 30 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    when n between 41 and 44 then (now() at time zone 'UTC') + n * interval '1 hour'
  end
from generate_series(1, 64) n;

insert into public.oauth_access_grants
  (resource_owner_id, application_id, token, expires_in, redirect_uri, scopes, created_at, revoked_at)
select n % 7, 1 + n % 3, 'code' || n, case when n <= 26 then 600 else 86400 end, 'https://example.org', 'read', g.created_at,
  case when n between 11 and 16 or n between 23 and 26 then g.created_at + interval '10 seconds' end
from generate_series(1, 40) n,
  lateral (
    select (now() at time zone 'UTC') - case
      when n <= 16 then interval '8 days' + n * interval '5 hours'
      when n <= 26 then interval '6 days 22 hours' + n * interval '1 minute'
      else n * interval '1 minute'
    end as created_at
  ) g;
`,
  tables: {
    "public.oauth_access_tokens": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or (refresh_token is null and created_at + expires_in * interval '1 second' < (now() at time zone 'UTC'))`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or (refresh_token is null
          and created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days')`,
    },
    "public.oauth_access_grants": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC')`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
