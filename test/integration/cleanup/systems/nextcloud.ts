/*
 * Nextcloud 30 and later: oc_authtoken has sessions and app passwords together. All times are epoch seconds. The daily job
 * (invalidateOldTokens) deletes rows of version 2 by last_activity:
 *   type 0 (session), remember 0: after session_lifetime, 1 day by default; remember 1: after remember_login_cookie_lifetime,
 *   15 days;
 *   type 2 (to be wiped): after token_auth_wipe_token_retention, 60 days;
 *   type 1 (app password): after token_auth_token_retention, 365 days.
 * `expires` (null or 0: never) must NOT decide: a token past it is refused, but the OAuth2 app finds the expired row at the
 * next refresh and gives it a new token. So the rows have an app password whose expires has passed and that stays.
 * Sources:
 *   https://github.com/nextcloud/server/blob/59fac23dc32ace903a7ab219030ccef7b15a978b/core/Migrations/
 *     Version13000Date20170718121200.php, Version14000Date20180516101403.php (2f815df), Version14000Date20180518120534.php
 *     (1ab09ec)
 *   the last widths and nulls: https://github.com/ChristophWurst/authtoken-index-bench (schema_empty-password.sql, of MySQL)
 *   https://github.com/nextcloud/server (lib/private/Authentication/Token/PublicKeyTokenProvider.php, PublicKeyTokenMapper.php;
 *     apps/oauth2/lib/Controller/OauthApiController.php)
 */
import type { RealSystem } from "./system.ts";

export const nextcloud: RealSystem = {
  name: "Nextcloud",
  version: "30",
  ddl: `
create table public.oc_authtoken (
  id bigserial primary key,
  uid varchar(64) not null default '',
  login_name varchar(255) not null default '',
  password text,
  name text not null default '',
  token varchar(200) not null default '',
  type smallint default 0,
  remember smallint default 0,
  last_activity integer default 0,
  last_check integer default 0,
  scope text,
  expires integer,
  private_key text,
  public_key text,
  version smallint not null default 1,
  password_invalid boolean default false,
  password_hash varchar(255)
);
create unique index authtoken_token_index on public.oc_authtoken (token);
create index authtoken_last_activity_idx on public.oc_authtoken (last_activity);
create index authtoken_uid_index on public.oc_authtoken (uid);
`,
  config: `targets:
  - preset: nextcloud
`,
  // Twenty rows of each kind: 1-8 unused for long, 9-11 until recently, 12-20 in use; then four of version 1, which nobody
  // deletes.
  rows: `
insert into public.oc_authtoken
  (uid, login_name, password, name, token, type, remember, last_activity, last_check, expires, version)
select 'user' || n % 5, 'user' || n % 5, case when n % 3 = 0 then null else 'secret' end, 'agent',
  md5('a' || n) || md5('b' || n),
  kind.type, kind.remember,
  extract(epoch from now())::integer - case
    when i.k <= 8 then kind.life + 8 * 86400 + n * 18000
    when i.k <= 11 then kind.life + 597600 + n * 60
    else n * 60
  end,
  extract(epoch from now())::integer - 400 * 86400,
  case
    when kind.type <> 1 or i.k % 3 = 1 then null
    when i.k % 3 = 2 then 0
    when i.k >= 12 then extract(epoch from now())::integer - 9 * 86400
    else extract(epoch from now())::integer + 3600
  end,
  kind.version
from generate_series(1, 84) n
  cross join lateral (select (n - 1) % 20 + 1 as k) i
  join (values
    (0, 0, 0, 86400, 2),
    (1, 0, 1, 15 * 86400, 2),
    (2, 2, 0, 60 * 86400, 2),
    (3, 1, 0, 365 * 86400, 2),
    (4, 0, 0, 86400, 1)
  ) as kind (slot, type, remember, life, version) on kind.slot = (n - 1) / 20;
`,
  tables: {
    "public.oc_authtoken": {
      dead: `version = 2 and (
        (type = 0 and remember = 0 and last_activity < extract(epoch from now()) - 86400)
        or (type = 0 and remember = 1 and last_activity < extract(epoch from now()) - 15 * 86400)
        or (type = 2 and last_activity < extract(epoch from now()) - 60 * 86400)
        or (type = 1 and last_activity < extract(epoch from now()) - 365 * 86400))`,
      due: `version = 2 and (
        (type = 0 and remember = 0 and last_activity < extract(epoch from now()) - (1 + 7) * 86400)
        or (type = 0 and remember = 1 and last_activity < extract(epoch from now()) - (15 + 7) * 86400)
        or (type = 2 and last_activity < extract(epoch from now()) - (60 + 7) * 86400)
        or (type = 1 and last_activity < extract(epoch from now()) - (365 + 7) * 86400))`,
    },
  },
};
