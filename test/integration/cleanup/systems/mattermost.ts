/*
 * Mattermost 9: sessions, OAuth access data and codes, one-time tokens.
 *
 * Everything is epoch milliseconds (bigint, nullable). sessions: deleted by Mattermost's job with "ExpiresAt != 0 and now >
 * ExpiresAt"; 0 = never. tokens (invitations, password recovery): deleted with "CreateAt < now - 48 hours" (some types are
 * refused earlier). oauthauthdata: expired at createat + expiresin seconds; never cleaned. oauthaccessdata: the access token
 * is expired when expiresat > 0 and lies behind, but the row also holds the refresh token, which has no expiry: only rows
 * with an empty refreshtoken (implicit grant) are dead then. No foreign keys.
 *
 * Sources (https://github.com/mattermost/mattermost/blob/<commit>/server/...):
 *   channels/db/migrations/postgres/000022_create_sessions.up.sql           @45b3110bf0701d44625d07c26a4be132172ad499
 *   channels/db/migrations/postgres/000025_create_oauth_access_data.up.sql  @45b3110bf0701d44625d07c26a4be132172ad499
 *   channels/db/migrations/postgres/000028_create_tokens.up.sql             @5c839440e3b0557e886e4046cae4913b9b5366b1
 *   channels/db/migrations/postgres/000034_create_oauthauthdata.up.sql      @45b3110bf0701d44625d07c26a4be132172ad499
 *   channels/db/migrations/postgres/000062_upgrade_sessions_v6.0.up.sql     @f37e00a0c3fd53a378e9fa8f0aae357ee5fa8e7c
 *   channels/store/sqlstore/session_store.go                                @061cc88976bfba99683f431f88fd2e88c0c1cf29
 *   channels/store/sqlstore/tokens_store.go                                 @0c111675f3f673ae08a1bf8228e43bddc8cfbbeb
 *   public/model/access.go    @7e0b3712f0c6e58531daa202d87dcf7b2ee6aa55
 *   public/model/authorize.go @127ef11dcec6afbaba17e71e644deefd8228593a
 *   public/model/token.go     @2ccad4c711ceb5a513b47c27211dc238fa63ef09
 */
import type { RealSystem } from "./system.ts";

const now = "(extract(epoch from now()) * 1000)::bigint";
const week = 604800000;

/** 1-16 long past, 17-19 past, but not for long enough, the others ahead. */
const time = `${now} + case
    when i <= 16 then -(${week} + 3600000 + i * 5400000::bigint)
    when i <= 19 then -(597600000 + i * 60000::bigint)
    else i * 600000::bigint end`;

export const mattermost: RealSystem = {
  name: "Mattermost",
  version: "9",
  ddl: `
create table sessions (
  id varchar(26) primary key,
  token varchar(26),
  createat bigint,
  expiresat bigint,
  lastactivityat bigint,
  userid varchar(26),
  deviceid varchar(512),
  roles varchar(256),
  isoauth boolean,
  props jsonb,
  expirednotify boolean
);
create index idx_sessions_user_id on sessions (userid);
create index idx_sessions_token on sessions (token);
create index idx_sessions_expires_at on sessions (expiresat);
create index idx_sessions_create_at on sessions (createat);
create index idx_sessions_last_activity_at on sessions (lastactivityat);
create table oauthaccessdata (
  token varchar(26) not null,
  refreshtoken varchar(26),
  redirecturi varchar(256),
  clientid varchar(26),
  userid varchar(26),
  expiresat bigint,
  scope varchar(128),
  primary key (token),
  constraint oauthaccessdata_clientid_userid_key unique (clientid, userid)
);
create index idx_oauthaccessdata_refresh_token on oauthaccessdata (refreshtoken);
create index idx_oauthaccessdata_user_id on oauthaccessdata (userid);
create table oauthauthdata (
  clientid varchar(26),
  userid varchar(26),
  code varchar(128) not null,
  expiresin integer,
  createat bigint,
  redirecturi varchar(256),
  state varchar(1024),
  scope varchar(128),
  primary key (code)
);
create table tokens (
  token varchar(64) primary key,
  createat bigint,
  type varchar(64),
  extra varchar(2048)
);`,
  config: `targets:
  - preset: mattermost
`,
  rows: `
-- 33-38 never expire, 39 and 40 have no time at all
insert into sessions (id, token, createat, expiresat, lastactivityat, userid, deviceid, roles, isoauth, props, expirednotify)
select left(md5('session ' || i), 26), left(md5('token ' || i), 26), ${now} - 3888000000,
  case when i <= 32 then ${time} when i <= 38 then 0 end, ${now} - i * 1000, left(md5('user ' || i % 7), 26),
  case when i % 3 = 0 then 'android:' || i else '' end, 'system_user', i % 4 = 0, '{}', i % 5 = 0
from generate_series(1, 40) i;
-- without a refresh token (33-36: 0 = never) ...
insert into oauthaccessdata (token, refreshtoken, redirecturi, clientid, userid, expiresat, scope)
select left(md5('implicit ' || i), 26), '', 'https://app.example/cb', 'implicit', left(md5('user ' || i), 26),
  case when i <= 32 then ${time} when i <= 36 then 0 end, 'user'
from generate_series(1, 40) i;
-- ... and with one, which outlives the access token
insert into oauthaccessdata (token, refreshtoken, redirecturi, clientid, userid, expiresat, scope)
select left(md5('code ' || i), 26), left(md5('refresh ' || i), 26), 'https://app.example/cb', 'code',
  left(md5('user ' || i), 26), ${time}, 'user'
from generate_series(1, 30) i;
insert into oauthauthdata (clientid, userid, code, expiresin, createat, redirecturi, state, scope)
select 'code', left(md5('user ' || i % 7), 26), md5('authorization code ' || i), case when i < 39 then 600 end,
  ${time} - 600000, 'https://app.example/cb', 'state', 'user'
from generate_series(1, 40) i;
insert into tokens (token, createat, type, extra)
select md5('one-time ' || i) || md5('token ' || i), case when i < 39 then ${time} - 172800000 end,
  case when i % 2 = 0 then 'team_invitation' else 'guest_invitation' end, '{}'
from generate_series(1, 40) i;`,
  tables: {
    "public.sessions": {
      dead: `(expiresat <> 0 and ${now} > expiresat)`,
      due: `(expiresat <> 0 and ${now} - ${week} > expiresat)`,
    },
    "public.oauthaccessdata": {
      dead: `(refreshtoken = '' and expiresat > 0 and ${now} > expiresat)`,
      due: `(refreshtoken = '' and expiresat > 0 and ${now} - ${week} > expiresat)`,
    },
    "public.oauthauthdata": {
      dead: `${now} > createat + expiresin * 1000::bigint`,
      due: `${now} - ${week} > createat + expiresin * 1000::bigint`,
    },
    "public.tokens": { dead: `createat < ${now} - 172800000`, due: `createat < ${now} - 172800000 - ${week}` },
  },
};
