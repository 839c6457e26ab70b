/*
 * Lucia 3 (@lucia-auth/adapter-postgresql): the application makes the tables; these are those of the documentation. `expires_at
 * timestamptz not null`; deleteExpiredSessions deletes sessions with `expires_at <= now`. No sentinel.
 * Sources:
 *   https://github.com/lucia-auth/lucia/blob/bdcce1294035482f3201a4d59eeaeb99d2344a23/packages/adapter-postgresql/src/base.ts
 *   https://github.com/lucia-auth/lucia/blob/0448cbe5d41471b8940578a1fdb68ea7a5b838a8/packages/adapter-postgresql/tests/pg.ts
 *   https://lucia-auth.com/reference/main/Adapter, https://github.com/mahaker/lucia-tutorial (db/init.sql)
 */
import type { RealSystem } from "./system.ts";

export const lucia: RealSystem = {
  name: "Lucia",
  version: "3",
  ddl: `
create table public.auth_user (id text primary key);
create table public.user_session (
  id text primary key,
  expires_at timestamptz not null,
  user_id text not null references public.auth_user (id)
);
`,
  config: `targets:
  - table: public.user_session
    expiresAt: expires_at
    retention: { expired: 7d }
    owner: user_id
`,
  rows: `
insert into public.auth_user (id) select 'user' || n from generate_series(1, 5) n;
insert into public.user_session (id, expires_at, user_id)
select md5('session' || n),
  now() + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '7 hours'
  end,
  'user' || (1 + n % 5)
from generate_series(1, 40) n;
`,
  tables: {
    "public.user_session": {
      dead: `expires_at <= now()`,
      due: `expires_at < now() - interval '7 days'`,
    },
  },
};
