/*
 * Laravel 11 (session driver `database`): last_activity is the epoch second of the last request. A session is dead when
 * `last_activity <= time() - lifetime`; the lifetime is SESSION_LIFETIME, in minutes, 120 by default. Laravel deletes such rows
 * in some requests, by chance (gc).
 * Sources:
 *   https://github.com/laravel/laravel/blob/0eaf7fa06f00823f3e8b4696f4e42073a88e21ea/database/migrations/
 *     0001_01_01_000000_create_users_table.php
 *   https://github.com/laravel/framework/blob/00f4cab7b65a85314204d800a47c669b1689a26c/src/Illuminate/Session/
 *     DatabaseSessionHandler.php
 */
import type { RealSystem } from "./system.ts";

export const laravelSessions: RealSystem = {
  name: "Laravel sessions",
  version: "11",
  ddl: `
create table public.sessions (
  id varchar(255) not null primary key,
  user_id bigint,
  ip_address varchar(45),
  user_agent text,
  payload text not null,
  last_activity integer not null
);
create index sessions_user_id_index on public.sessions (user_id);
create index sessions_last_activity_index on public.sessions (last_activity);
`,
  config: `targets:
  - preset: laravel-sessions
`,
  // 1-14: last request long ago; 15-20: expired, but not for long enough; the others: within the last 100 minutes.
  rows: `
insert into public.sessions (id, user_id, ip_address, user_agent, payload, last_activity)
select md5('session' || n), case when n % 3 = 0 then null else n % 7 end, '192.0.2.' || n,
  case when n % 5 = 0 then null else 'agent' end, 'payload',
  extract(epoch from now())::integer - case
    when n <= 14 then 8 * 86400 + n * 18000
    when n <= 20 then 7 * 86400 + n * 60
    else n * 90
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.sessions": {
      dead: `last_activity <= extract(epoch from now()) - 120 * 60`,
      due: `last_activity < extract(epoch from now()) - 120 * 60 - 7 * 86400`,
    },
  },
};
