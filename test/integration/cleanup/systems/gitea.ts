/*
 * Gitea 1.22+ (Forgejo alike): web sessions in the database, "remember me" tokens, OAuth2 authorization codes.
 *
 * Everything is epoch seconds (bigint). session.expiry is, despite its name, the time of the last write: Gitea's job
 * deletes "expiry <= now - SESSION_LIFE_TIME" (86400 s). auth_token: deleted with "expires_unix < now".
 * oauth2_authorization_code.valid_until: 0 where an older version wrote the row, which set none; a code is deleted when it is
 * used, never when it expires. access_token rows have no expiry and are left out.
 *
 * Sources: https://github.com/go-gitea/gitea/blob/054c58edf866ee78506e7ef9de84963594cf4f89/models/auth/session.go
 *          https://github.com/go-gitea/gitea/blob/207dc75978451d9f9cde3c8fbf812df16c1cce13/models/auth/auth_token.go
 *          https://github.com/go-gitea/gitea/blob/033ef88c2413acc99abe63beb2af654667e535fc/models/auth/oauth2.go
 *          (types as xorm maps them to PostgreSQL: string = varchar(255), TimeStamp = bigint, BLOB = bytea)
 */
import type { RealSystem } from "./system.ts";

const now = "extract(epoch from now())::bigint";

/** 1-16 long past, 17-19 past, but not for long enough, the others ahead. */
const time = `${now} + case
    when i <= 16 then -(604800 + 3600 + i * 5400)
    when i <= 19 then -(597600 + i * 60)
    else i * 600 end`;

export const gitea: RealSystem = {
  name: "Gitea",
  version: "1.22",
  ddl: `
create table session (
  "key" char(16) not null,
  data bytea,
  expiry bigint,
  constraint session_pkey primary key ("key")
);
create table auth_token (
  id varchar(255) not null,
  token_hash varchar(255),
  user_id bigint,
  expires_unix bigint,
  constraint auth_token_pkey primary key (id)
);
create index "IDX_auth_token_user_id" on auth_token (user_id);
create index "IDX_auth_token_expires_unix" on auth_token (expires_unix);
create table oauth2_authorization_code (
  id bigserial not null,
  grant_id bigint,
  code varchar(255),
  code_challenge varchar(255),
  code_challenge_method varchar(255),
  redirect_uri varchar(255),
  valid_until bigint,
  constraint oauth2_authorization_code_pkey primary key (id)
);
create unique index "UQE_oauth2_authorization_code_code" on oauth2_authorization_code (code);
create index "IDX_oauth2_authorization_code_valid_until" on oauth2_authorization_code (valid_until);`,
  config: `targets:
  - preset: gitea
`,
  rows: `
insert into session ("key", data, expiry)
select left(md5('session ' || i), 16), case when i % 4 > 0 then decode('0aff', 'hex') end,
  case when i < 38 then least(${time} - 86400, ${now}) end
from generate_series(1, 40) i;
insert into auth_token (id, token_hash, user_id, expires_unix)
select 'remember-' || i, md5('hash ' || i), i % 7, case when i < 39 then ${time} end from generate_series(1, 40) i;
-- 33-38: from an older version, without a time
insert into oauth2_authorization_code (grant_id, code, code_challenge, code_challenge_method, redirect_uri, valid_until)
select i % 5, 'gta_' || md5('code ' || i), case when i % 2 = 0 then 'challenge' end, case when i % 2 = 0 then 'S256' end,
  'https://app.example/cb', case when i <= 32 then ${time} when i <= 38 then 0 end
from generate_series(1, 40) i;`,
  tables: {
    "public.session": { dead: `expiry <= ${now} - 86400`, due: `expiry <= ${now} - 86400 - 604800` },
    "public.auth_token": { dead: `expires_unix < ${now}`, due: `expires_unix < ${now} - 604800` },
    "public.oauth2_authorization_code": {
      dead: `(valid_until > 0 and valid_until < ${now})`,
      due: `(valid_until > 0 and valid_until < ${now} - 604800)`,
    },
  },
};
