/*
 * Symfony 6/7, PdoSessionHandler: sess_lifetime is, despite its name, the epoch second at which the session expires; sess_time
 * is that of the last write. The handler treats a session as expired, and deletes it, when `sess_lifetime < time()`. (Up to
 * Symfony 4.3, sess_lifetime was a number of seconds from sess_time: there, use { column: sess_time, plusSeconds: sess_lifetime
 * }.)
 * Sources:
 *   https://github.com/symfony/http-foundation/blob/0341e41d8d8830c31a1dff5cbc5bdb3ec872a073/Session/Storage/Handler/
 *     PdoSessionHandler.php
 */
import type { RealSystem } from "./system.ts";

export const symfony: RealSystem = {
  name: "Symfony PdoSessionHandler",
  version: "6/7",
  ddl: `
create table public.sessions (
  sess_id varchar(128) not null primary key,
  sess_data bytea not null,
  sess_lifetime integer not null,
  sess_time integer not null
);
create index sess_lifetime_idx on public.sessions (sess_lifetime);
`,
  config: `targets:
  - preset: symfony-sessions
`,
  rows: `
insert into public.sessions (sess_id, sess_data, sess_lifetime, sess_time)
select md5('session' || n), ''::bytea, s.lifetime, s.lifetime - 1440
from generate_series(1, 40) n,
  lateral (
    select extract(epoch from now())::integer + case
      when n <= 14 then -8 * 86400 - n * 18000
      when n <= 20 then -597600 - n * 60
      else 3600 + n * 60
    end as lifetime
  ) s;
`,
  tables: {
    "public.sessions": {
      dead: `sess_lifetime < extract(epoch from now())`,
      due: `sess_lifetime < extract(epoch from now()) - 7 * 86400`,
    },
  },
};
