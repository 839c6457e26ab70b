/*
 * Laravel Sanctum 3/4: personal access tokens. `expires_at` null: never (unless the setting sanctum.expiration, off by default,
 * counts minutes from created_at). Times are timestamp(0) without time zone in the application's time zone, UTC by default.
 * `artisan sanctum:prune-expired --hours=24` deletes `expires_at < now - 24 hours`; that is the retention here.
 * Sources:
 *   https://github.com/laravel/sanctum/blob/458de173b4ce8eb9a5392f38e7f8e49aeb468f00/database/migrations/
 *     2019_12_14_000001_create_personal_access_tokens_table.php
 *   https://github.com/akaunting/akaunting/blob/476bef35b3d15b057b9d4b2a00ad1a872336730e/vendor/laravel/sanctum/src/Console/
 *     Commands/PruneExpired.php (a copy of Sanctum 3's file)
 */
import type { RealSystem } from "./system.ts";

export const laravelSanctum: RealSystem = {
  name: "Laravel Sanctum",
  version: "3/4",
  ddl: `
create table public.personal_access_tokens (
  id bigserial primary key,
  tokenable_type varchar(255) not null,
  tokenable_id bigint not null,
  name text not null,
  token varchar(64) not null,
  abilities text,
  last_used_at timestamp(0) without time zone,
  expires_at timestamp(0) without time zone,
  created_at timestamp(0) without time zone,
  updated_at timestamp(0) without time zone,
  constraint personal_access_tokens_token_unique unique (token)
);
create index personal_access_tokens_tokenable_type_tokenable_id_index on public.personal_access_tokens
  (tokenable_type, tokenable_id);
`,
  config: `targets:
  - preset: laravel-sanctum
`,
  rows: `
insert into public.personal_access_tokens
  (tokenable_type, tokenable_id, name, token, abilities, last_used_at, expires_at, created_at, updated_at)
select 'App\\Models\\User', 1 + n % 5, 'token ' || n, md5('a' || n) || md5('b' || n), '["*"]',
  case when n % 3 = 0 then null else (now() at time zone 'UTC') - n * interval '1 hour' end,
  case
    when n <= 14 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n <= 20 then (now() at time zone 'UTC') - interval '22 hours' - n * interval '1 minute'
    when n <= 28 then null
    else (now() at time zone 'UTC') + n * interval '7 hours'
  end,
  case when n % 9 = 0 then null else (now() at time zone 'UTC') - interval '90 days' end,
  case when n % 9 = 0 then null else (now() at time zone 'UTC') - interval '90 days' end
from generate_series(1, 40) n;
`,
  tables: {
    "public.personal_access_tokens": {
      dead: `expires_at <= (now() at time zone 'UTC')`,
      due: `expires_at < (now() at time zone 'UTC') - interval '24 hours'`,
    },
  },
};
