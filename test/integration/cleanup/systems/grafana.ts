/*
 * Grafana 10 - 11: the tokens of signed-in browsers and API keys (also those of service accounts).
 *
 * user_auth_token has epoch seconds in 32-bit integers. A token is refused, and deleted by Grafana's job, when "created_at <=
 * now - login_maximum_lifetime_duration (30 days) or rotated_at <= now - login_maximum_inactive_lifetime_duration (7 days)";
 * one with revoked_at > 0 is refused at once (null: not revoked) and stays until one of the two has passed.
 * api_key.expires: epoch seconds (bigint), null = never, refused when expires <= now; is_revoked marks revoked keys, without
 * a time. Grafana keeps API keys that are expired or revoked, on purpose: they show in its pages.
 *
 * Sources (https://github.com/grafana/grafana/blob/<commit>/pkg/services/...):
 *   sqlstore/migrations/user_auth_token_mig.go  @0b596ec909baa92dcc5ad32d64ea1decf8746aeb
 *   auth/authimpl/token_cleanup.go              @0b596ec909baa92dcc5ad32d64ea1decf8746aeb
 *   sqlstore/migrations/apikey_mig.go           @70a9b44ec283146c13bb1aa284717344df84f4e8 and newer (expires, is_revoked ...)
 *   (types of serial columns and names of indexes after dumps of running installations)
 */
import type { RealSystem } from "./system.ts";

const now = "extract(epoch from now())::bigint";

/** What the job deletes, `more` seconds later. */
const overTokens = (more: number): string =>
  `(created_at <= ${now} - ${2592000 + more} or rotated_at <= ${now} - ${604800 + more})`;

export const grafana: RealSystem = {
  name: "Grafana",
  version: "11",
  ddl: `
create table user_auth_token (
  id serial primary key not null,
  user_id bigint not null,
  auth_token varchar(100) not null,
  prev_auth_token varchar(100) not null,
  user_agent varchar(255) not null,
  client_ip varchar(255) not null,
  auth_token_seen boolean not null,
  seen_at integer,
  rotated_at integer not null,
  created_at integer not null,
  updated_at integer not null,
  revoked_at integer
);
create unique index "UQE_user_auth_token_auth_token" on user_auth_token (auth_token);
create unique index "UQE_user_auth_token_prev_auth_token" on user_auth_token (prev_auth_token);
create index "IDX_user_auth_token_user_id" on user_auth_token (user_id);
create index "IDX_user_auth_token_revoked_at" on user_auth_token (revoked_at);
create table api_key (
  id serial primary key not null,
  org_id bigint not null,
  name varchar(190) not null,
  key varchar(190) not null,
  role varchar(255) not null,
  created timestamp without time zone not null,
  updated timestamp without time zone not null,
  expires bigint,
  service_account_id bigint,
  last_used_at timestamp without time zone,
  is_revoked boolean default false
);
create unique index "UQE_api_key_key" on api_key (key);
create unique index "UQE_api_key_org_id_name" on api_key (org_id, name);
create index "IDX_api_key_org_id" on api_key (org_id);`,
  config: `targets:
  - preset: grafana
  - table: public.api_key
    name: API keys
    expiresAt: expires
    revoked: "is_revoked = true"
    epoch: seconds
    retention: {expired: 7d, revoked: 0s}
    owner: service_account_id
`,
  rows: `
-- 1-12 idle for long, 13-20 too old though in use, 21-26 revoked long ago, 27-30 not for long enough,
-- 31-34 not for long enough, 35-38 revoked later, 39-70 alive (some with 0 instead of null)
insert into user_auth_token (user_id, auth_token, prev_auth_token, user_agent, client_ip, auth_token_seen, seen_at,
  rotated_at, created_at, updated_at, revoked_at)
select i % 7, md5('token ' || i), md5('previous ' || i), 'Firefox', '10.0.0.1', i % 2 = 0,
  case when i % 3 > 0 then ${now}::int - i end,
  ${now}::int - case
    when i <= 12 then 604800 + 604800 + 3600 + i * 5400
    when i between 27 and 30 then 604800 + 597600 + i * 60
    else i * 60 end,
  ${now}::int - case
    when i between 13 and 20 then 2592000 + 604800 + 3600 + i * 5400
    when i between 31 and 34 then 2592000 + 597600 + i * 60
    else 1296000 + i * 60 end,
  ${now}::int,
  case when i between 21 and 26 then ${now}::int - 604800 - 3600 - i * 5400
    when i between 35 and 38 then ${now}::int - 597600 - i * 60
    when i > 66 then 0 end
from generate_series(1, 70) i;
-- 1-12 expired long ago, 13-15 not long enough ago, 16-20 revoked, 21-32 alive, 33-40 never expire
insert into api_key (org_id, name, key, role, created, updated, expires, service_account_id, is_revoked)
select 1, 'key-' || i, md5('key ' || i), 'Viewer', now() - interval '90 days', now() - interval '90 days',
  case
    when i <= 12 then ${now} - 604800 - 3600 - i * 5400
    when i <= 15 then ${now} - 597600 - i * 60
    when i <= 32 then ${now} + i * 3600 end,
  case when i % 2 = 0 then i % 7 end,
  case when i between 16 and 20 then true when i % 10 = 3 then null else false end
from generate_series(1, 40) i;`,
  tables: {
    "public.user_auth_token": { dead: `(${overTokens(0)} or revoked_at > 0)`, due: overTokens(604800) },
    "public.api_key": {
      dead: `(expires <= ${now} or is_revoked)`,
      due: `(expires <= ${now} - 604800 or is_revoked)`,
    },
  },
};
