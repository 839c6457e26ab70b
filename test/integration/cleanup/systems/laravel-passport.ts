/*
 * Laravel Passport (the migrations of versions 8 to 12; 13 differs in the types of ids): access tokens, refresh tokens and
 * codes. `revoked boolean not null` without a time; `expires_at` timestamp(0) without time zone in the application's time zone
 * (UTC by default), null: never. No foreign key joins the tables. `artisan passport:purge` deletes revoked rows at once, and
 * rows with `expires_at` on a day before that of 7 days ago; --hours sets another retention.
 * Sources:
 *   in https://github.com/laravel/passport/tree/12.x/database/migrations:
 *   2016_06_01_000001_create_oauth_auth_codes_table.php (03d0a06), 2016_06_01_000002_create_oauth_access_tokens_table.php
 *   (03d0a06), 2016_06_01_000003_create_oauth_refresh_tokens_table.php (20e9b66)
 *   https://github.com/laravel/passport/blob/01b4ff2e92177159f4cc6356e743b0c9b1e37ea5/src/Console/PurgeCommand.php
 */
import type { RealSystem } from "./system.ts";

export const laravelPassport: RealSystem = {
  name: "Laravel Passport",
  version: "8-12",
  ddl: `
create table public.oauth_auth_codes (
  id varchar(100) not null primary key,
  user_id bigint not null,
  client_id bigint not null,
  scopes text,
  revoked boolean not null,
  expires_at timestamp(0) without time zone
);
create index oauth_auth_codes_user_id_index on public.oauth_auth_codes (user_id);
create table public.oauth_access_tokens (
  id varchar(100) not null primary key,
  user_id bigint,
  client_id bigint not null,
  name varchar(255),
  scopes text,
  revoked boolean not null,
  created_at timestamp(0) without time zone,
  updated_at timestamp(0) without time zone,
  expires_at timestamp(0) without time zone
);
create index oauth_access_tokens_user_id_index on public.oauth_access_tokens (user_id);
create table public.oauth_refresh_tokens (
  id varchar(100) not null primary key,
  access_token_id varchar(100) not null,
  revoked boolean not null,
  expires_at timestamp(0) without time zone
);
`,
  config: `targets:
  - preset: laravel-passport
`,
  // In each table: 1-10 expired long ago, 11-14 revoked and live otherwise, 15-16 revoked without expiry, 17-22 expired
  // recently, 23-28 that never expire, the rest live.
  rows: `
insert into public.oauth_access_tokens (id, user_id, client_id, name, scopes, revoked, created_at, updated_at, expires_at)
select md5('access' || n), case when n % 10 = 0 then null else n % 7 end, 1 + n % 3,
  case when n % 4 = 0 then 'personal' end, '[]',
  n between 11 and 16, (now() at time zone 'UTC') - interval '400 days', (now() at time zone 'UTC') - interval '1 day',
  case
    when n <= 10 then (now() at time zone 'UTC') - interval '9 days' - n * interval '5 hours'
    when n between 15 and 16 or n between 23 and 28 then null
    when n between 17 and 22 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    else (now() at time zone 'UTC') + n * interval '7 hours'
  end
from generate_series(1, 44) n;

insert into public.oauth_refresh_tokens (id, access_token_id, revoked, expires_at)
select md5('refresh' || n), md5('access' || n), n between 11 and 16,
  case
    when n <= 10 then (now() at time zone 'UTC') - interval '9 days' - n * interval '5 hours'
    when n between 15 and 16 or n between 23 and 28 then null
    when n between 17 and 22 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    else (now() at time zone 'UTC') + n * interval '7 hours'
  end
from generate_series(1, 44) n;

insert into public.oauth_auth_codes (id, user_id, client_id, scopes, revoked, expires_at)
select md5('code' || n), n % 7, 1 + n % 3, null, n between 11 and 16,
  case
    when n <= 10 then (now() at time zone 'UTC') - interval '9 days' - n * interval '5 hours'
    when n between 15 and 16 or n between 23 and 28 then null
    when n between 17 and 22 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    else (now() at time zone 'UTC') + n * interval '7 hours'
  end
from generate_series(1, 44) n;
`,
  tables: {
    "public.oauth_access_tokens": {
      dead: `revoked = true or expires_at <= (now() at time zone 'UTC')`,
      due: `revoked = true or expires_at < (now() at time zone 'UTC') - interval '7 days'`,
    },
    "public.oauth_refresh_tokens": {
      dead: `revoked = true or expires_at <= (now() at time zone 'UTC')`,
      due: `revoked = true or expires_at < (now() at time zone 'UTC') - interval '7 days'`,
    },
    "public.oauth_auth_codes": {
      dead: `revoked = true or expires_at <= (now() at time zone 'UTC')`,
      due: `revoked = true or expires_at < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
