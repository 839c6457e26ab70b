/*
 * Lucia 1 and 2: times are milliseconds since 1970 in bigint. A session is active until active_expires and idle (still valid)
 * until idle_expires; it is dead when `Date.now() > idle_expires`. Lucia deletes a user's dead sessions when a session of
 * theirs is made.
 * Sources:
 *   https://github.com/lucia-auth/lucia/blob/54dcdf4d528a05bd3401298e41c8c21af7ef63a7/packages/adapter-postgresql/scripts/
 *     init.sql
 *   isValidDatabaseSession (packages/lucia/src/auth/session.ts) and isWithinExpiration (packages/lucia/src/utils/date.ts)
 *   https://v2.lucia-auth.com/basics/sessions/
 */
import type { RealSystem } from "./system.ts";

export const luciaV1: RealSystem = {
  name: "Lucia 1/2",
  version: "1/2",
  ddl: `
create table public.auth_user (
  id varchar(15) not null,
  username varchar(255) not null,
  primary key (id)
);
create table public.auth_session (
  id varchar(127) not null,
  user_id varchar(15) not null,
  active_expires bigint not null,
  idle_expires bigint not null,
  primary key (id),
  foreign key (user_id) references public.auth_user (id)
);
`,
  config: `targets:
  - table: public.auth_session
    expiresAt: idle_expires
    epoch: milliseconds
    retention: { expired: 7d }
    owner: user_id
`,
  // 1-14 dead long ago, 15-20 recently, 21-26 idle, 27-40 active. The idle period is 14 days after the active one.
  rows: `
insert into public.auth_user (id, username) select 'user' || n, 'user' || n from generate_series(1, 5) n;
insert into public.auth_session (id, user_id, active_expires, idle_expires)
select md5('session' || n), 'user' || (1 + n % 5), s.idle_expires - 14 * 86400000::bigint, s.idle_expires
from generate_series(1, 40) n,
  lateral (
    select (extract(epoch from now()) * 1000)::bigint + case
      when n <= 14 then -8 * 86400000::bigint - n * 18000000::bigint
      when n <= 20 then -597600000::bigint - n * 60000
      when n <= 26 then n * 36000000::bigint
      else 14 * 86400000::bigint + n * 1800000::bigint
    end as idle_expires
  ) s;
`,
  tables: {
    "public.auth_session": {
      dead: `idle_expires < extract(epoch from now()) * 1000`,
      due: `idle_expires < extract(epoch from now()) * 1000 - 7 * 86400000::bigint`,
    },
  },
};
