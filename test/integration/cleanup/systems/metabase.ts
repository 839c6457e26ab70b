/*
 * Metabase 0.54: core_session, without a time of expiry. A session is dead when created_at is more than max-session-age ago
 * (MAX_SESSION_AGE, in minutes; 20160, two weeks, by default), however much it is used; a job deletes such rows at two every
 * night. Later versions add auth_identity_id and a nullable expires_at; the job still goes by created_at alone.
 * Sources:
 *   https://github.com/metabase/metabase/blob/95d18f14a0bb26c4cbd4dc827f96624f39cde07f/src/metabase/session/task/
 *     session_cleanup.clj
 *   https://github.com/metabase/metabase/blob/fcf4dbb6e8bba0d1895728f26d98dc5443b405e2/src/metabase/session/models/session.clj
 *   https://www.metabase.com/docs/latest/people-and-groups/changing-session-expiration
 *   columns as in public pg_dumps of Metabase's database
 */
import type { RealSystem } from "./system.ts";

export const metabase: RealSystem = {
  name: "Metabase",
  version: "0.54",
  ddl: `
create table public.core_user (id integer not null primary key, email varchar(254) not null unique);
create table public.core_session (
  id character varying(254) not null primary key,
  user_id integer not null,
  created_at timestamp with time zone not null,
  anti_csrf_token text,
  key_hashed character varying(254) not null,
  constraint fk_session_ref_user_id foreign key (user_id) references public.core_user (id) on delete cascade
);
`,
  config: `targets:
  - table: public.core_session
    expiresAt: { column: created_at, plus: 14d }
    retention: { expired: 7d }
    owner: user_id
`,
  rows: `
insert into public.core_user (id, email) select n, 'user' || n || '@example.org' from generate_series(1, 5) n;
insert into public.core_session (id, user_id, created_at, anti_csrf_token, key_hashed)
select left(md5('session' || n), 12), 1 + n % 5,
  now() - case
    when n <= 14 then interval '22 days' + n * interval '5 hours'
    when n <= 20 then interval '20 days 22 hours' + n * interval '1 minute'
    else n * interval '7 hours'
  end,
  case when n % 8 = 0 then md5('csrf' || n) end, md5('a' || n) || md5('b' || n) || md5('c' || n) || md5('d' || n)
from generate_series(1, 40) n;
`,
  tables: {
    "public.core_session": {
      dead: `created_at < now() - 20160 * interval '1 minute'`,
      due: `created_at < now() - 20160 * interval '1 minute' - interval '7 days'`,
    },
  },
};
