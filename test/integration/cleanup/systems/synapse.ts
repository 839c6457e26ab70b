/*
 * Matrix Synapse 1.9x (schema 83+): access, refresh, login and OpenID tokens.
 *
 * Everything is epoch milliseconds (bigint). access_tokens.valid_until_ms: null = never; a token with a time in the past is
 * refused (as a "soft logout"). refresh_tokens: refused when expiry_ts or ultimate_session_expiry_ts has passed, null = never;
 * expiry_ts never lies behind the ultimate end. A refresh token takes its access token and its predecessors with it
 * (ON DELETE CASCADE, also onto itself by next_token_id). login_tokens: refused when used (used_ts) or expired; Synapse
 * deletes those with expiry_ts <= now - 5 minutes. Synapse never deletes expired access, refresh or OpenID tokens.
 *
 * Sources: https://github.com/element-hq/synapse/blob/001f16b0d1347ec422c81ffe6bdcd83770e44ccf/
 *            synapse/storage/databases/main/registration.py
 *          https://github.com/element-hq/synapse/blob/eaad9bb156d324e35c10b0e9139fb2ce615ecc0b/
 *            synapse/storage/schema/main/delta/73/10login_tokens.sql
 *          https://github.com/element-hq/synapse/blob/develop/synapse/storage/schema/main/full_schemas/72/full.sql.postgres
 *          https://github.com/element-hq/synapse/blob/develop/synapse/handlers/auth.py (refresh_token)
 */
import type { RealSystem } from "./system.ts";

const now = "(extract(epoch from now()) * 1000)::bigint";
const week = 604800000;

/** 1-16 long past, 17-19 past, but not for long enough, the others ahead. */
const time = (column: string): string => `${now} + case
    when ${column} <= 16 then -(${week} + 3600000 + ${column} * 5400000::bigint)
    when ${column} <= 19 then -(597600000 + ${column} * 60000::bigint)
    else ${column} * 600000::bigint end`;

export const synapse: RealSystem = {
  name: "Matrix Synapse",
  version: "1.90",
  ddl: `
create table refresh_tokens (
  id bigint not null,
  user_id text not null,
  device_id text not null,
  token text not null,
  next_token_id bigint,
  expiry_ts bigint,
  ultimate_session_expiry_ts bigint,
  constraint refresh_tokens_pkey primary key (id),
  constraint refresh_tokens_token_key unique (token),
  constraint refresh_tokens_next_token_id_fkey foreign key (next_token_id)
    references refresh_tokens (id) on delete cascade
);
create index refresh_tokens_next_token_id on refresh_tokens (next_token_id) where next_token_id is not null;
create table access_tokens (
  id bigint not null,
  user_id text not null,
  device_id text,
  token text not null,
  valid_until_ms bigint,
  puppets_user_id text,
  last_validated bigint,
  refresh_token_id bigint,
  used boolean,
  constraint access_tokens_pkey primary key (id),
  constraint access_tokens_token_key unique (token),
  constraint access_tokens_refresh_token_id_fkey foreign key (refresh_token_id)
    references refresh_tokens (id) on delete cascade
);
create index access_tokens_device_id on access_tokens (user_id, device_id);
create index access_tokens_refresh_token_id_idx on access_tokens (refresh_token_id);
create table login_tokens (
  token text primary key,
  user_id text not null,
  expiry_ts bigint not null,
  used_ts bigint,
  auth_provider_id text,
  auth_provider_session_id text
);
create index login_tokens_auth_provider_idx on login_tokens (auth_provider_id, auth_provider_session_id);
create index login_tokens_expiry_time_idx on login_tokens (expiry_ts);
create table open_id_tokens (
  token text not null,
  ts_valid_until_ms bigint not null,
  user_id text not null,
  constraint open_id_tokens_pkey primary key (token)
);
create index open_id_tokens_ts_valid_until_ms on open_id_tokens (ts_valid_until_ms);`,
  config: `targets:
  - preset: synapse
    retention: {expired: 7d, revoked: 7d}
`,
  rows: `
-- 1-16 long past (2, 4, 6, 8 were replaced by the token before them in this list), 33-40 never
insert into refresh_tokens (id, user_id, device_id, token, next_token_id, expiry_ts, ultimate_session_expiry_ts)
select i, '@user' || i % 7 || ':example.org', 'DEVICE' || i, 'syr_' || i, case when i in (2, 4, 6, 8) then i - 1 end,
  case when i <= 32 and i % 4 <> 0 then ${time("i")} end,
  case when i > 32 then null when i % 4 = 0 then ${time("i")} when i % 4 = 1 then ${time("i")} + 86400000 end
from generate_series(1, 40) i;
-- the access token issued with each refresh token ends an hour before it
insert into access_tokens (id, user_id, device_id, token, valid_until_ms, last_validated, refresh_token_id, used)
select i, '@user' || i % 7 || ':example.org', 'DEVICE' || i, 'syt_' || i,
  case when i <= 16 then ${time("i")} - 3600000 when i <= 32 then ${time("i")} end, ${now}, i, i % 2 = 0
from generate_series(1, 40) i;
-- tokens of ordinary logins never expire, those of an administrator who poses as a user do
insert into access_tokens (id, user_id, device_id, token, valid_until_ms, puppets_user_id, last_validated, used)
select 100 + i, '@user' || i % 7 || ':example.org', case when i % 2 = 0 then 'PHONE' || i end, 'syt_more_' || i,
  case when i <= 3 then ${now} - ${week} - 7200000 - i * 1000000 end,
  case when i <= 3 then '@puppet:example.org' end, ${now}, true
from generate_series(1, 12) i;
-- login tokens live for two minutes: 11-16 used long ago, 17-22 used a while ago, 23-32 unused and alive
insert into login_tokens (token, user_id, expiry_ts, used_ts, auth_provider_id, auth_provider_session_id)
select 'syl_' || i, '@user' || i % 7 || ':example.org', ends, case when i between 11 and 22 then ends - 100000 end,
  case when i % 2 = 0 then 'oidc-company' end, case when i % 2 = 0 then 'sid-' || i end
from (
  select i, ${now} + case
    when i <= 16 then -(${week} + 3600000 + i * 5400000::bigint)
    when i <= 22 then -(597600000 + i * 60000::bigint)
    else 7200000 + i * 60000::bigint end as ends
  from generate_series(1, 34) i
) as drawn;
insert into open_id_tokens (token, ts_valid_until_ms, user_id)
select 'openid-' || i, ${time("i")}, '@user' || i % 7 || ':example.org' from generate_series(1, 40) i;`,
  tables: {
    "public.access_tokens": { dead: `valid_until_ms < ${now}`, due: `valid_until_ms < ${now} - ${week}` },
    "public.refresh_tokens": {
      dead: `(expiry_ts < ${now} or ultimate_session_expiry_ts < ${now})`,
      due: `(expiry_ts < ${now} - ${week} or ultimate_session_expiry_ts < ${now} - ${week})`,
    },
    "public.login_tokens": {
      dead: `(used_ts is not null or expiry_ts < ${now})`,
      due: `(used_ts < ${now} - ${week} or expiry_ts < ${now} - ${week})`,
    },
    "public.open_id_tokens": { dead: `ts_valid_until_ms < ${now}`, due: `ts_valid_until_ms < ${now} - ${week}` },
  },
};
