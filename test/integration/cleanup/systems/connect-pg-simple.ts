/*
 * connect-pg-simple (express-session): `expire timestamp(6)` without time zone. The store writes to_timestamp(seconds) into it,
 * so the value is in the time zone of the application's database sessions: UTC here, elsewhere whatever TimeZone says there. A
 * session is read while `expire >= to_timestamp(now)`; pruneSessions deletes `expire < to_timestamp(now)`, every minute by
 * default in the version read, or never (pruneSessionInterval: false).
 * Sources:
 *   https://github.com/voxpelli/node-connect-pg-simple/blob/163e403e010fd62d58244bf1fd036d15db564f61/table.sql
 *   https://github.com/voxpelli/node-connect-pg-simple/blob/026af47d2bd40e501a8a82f206419088324b61d2/index.js
 */
import type { RealSystem } from "./system.ts";

export const connectPgSimple: RealSystem = {
  name: "connect-pg-simple",
  version: "5 and later",
  ddl: `
create table public."session" (
  "sid" varchar not null collate "default",
  "sess" json not null,
  "expire" timestamp(6) not null
);
alter table public."session" add constraint "session_pkey" primary key ("sid") not deferrable initially immediate;
create index "IDX_session_expire" on public."session" ("expire");
`,
  config: `targets:
  - preset: connect-pg-simple
`,
  rows: `
insert into public."session" (sid, sess, expire)
select md5('session' || n), '{"cookie":{}}',
  (now() at time zone 'UTC') + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '30 minutes'
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.session": {
      dead: `expire < (now() at time zone 'UTC')`,
      due: `expire < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
