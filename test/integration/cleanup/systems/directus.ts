/*
 * Directus 10: directus_sessions (refresh tokens) and directus_shares (links to an item). knex's timestamp is timestamptz. A
 * session is dead when `expires < now`; each sign-in deletes all such rows. A session belongs to a user or to a share
 * (cascade). A share is dead when `date_end < now` (null: never); Directus never deletes it. It also refuses a share with
 * `max_uses < times_used`: a comparison of two columns, which our YAML cannot say; the rows have none of these.
 * Sources:
 *   https://github.com/directus/directus/blob/308ede3ddbce4c150dfebe6401bf50b52873e76b/api/src/database/seeds/12-sessions.yaml
 *   https://github.com/directus/directus/blob/03a48cd51314daedeeace8eec98a259508d225dd/api/src/database/migrations/
 *     20211211A-add-shares.ts, 20240515A-add-session-window.ts, 20220826A-add-origin-to-accountability.ts
 *   https://github.com/directus/directus/blob/02ce9839969617e039d0c06bdecfc7674986b16b/api/src/services/authentication.ts
 *   https://github.com/directus/directus (api/src/services/shares.ts, method login)
 */
import type { RealSystem } from "./system.ts";

export const directus: RealSystem = {
  name: "Directus",
  version: "10",
  ddl: `
create table public.directus_collections (collection varchar(64) not null primary key);
create table public.directus_roles (id uuid not null primary key, name varchar(100) not null);
create table public.directus_users (id uuid not null primary key, email varchar(128) unique);
create table public.directus_shares (
  id uuid not null primary key,
  name varchar(255),
  collection varchar(64) references public.directus_collections (collection) on delete cascade,
  item varchar(255),
  role uuid references public.directus_roles (id) on delete cascade,
  password varchar(255),
  user_created uuid references public.directus_users (id) on delete set null,
  date_created timestamptz default current_timestamp,
  date_start timestamptz,
  date_end timestamptz,
  times_used integer default 0,
  max_uses integer
);
create table public.directus_sessions (
  token varchar(64) not null primary key,
  "user" uuid references public.directus_users (id),
  expires timestamptz not null,
  ip varchar(255),
  user_agent varchar(255),
  share uuid references public.directus_shares (id) on delete cascade,
  origin varchar(255),
  next_token varchar(64)
);
`,
  config: `targets:
  - table: public.directus_sessions
    expiresAt: expires
    retention: { expired: 7d }
    owner: user
  - table: public.directus_shares
    expiresAt: date_end
    retention: { expired: 7d }
    owner: user_created
    cascade: [public.directus_sessions]
`,
  // Sessions 31 and 32 have not expired, but belong to the shares 1 and 2, which ended long ago. Directus refuses such a session; it
  // is a row of another target that is not due, so both stay until the session has expired as well.
  rows: `
insert into public.directus_collections (collection) values ('articles');
insert into public.directus_roles (id, name) values ('00000000-0000-4000-8000-000000000001', 'editor');
insert into public.directus_users (id, email)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n || '@example.org' from generate_series(1, 5) n;

insert into public.directus_shares
  (id, name, collection, item, role, user_created, date_created, date_start, date_end, times_used, max_uses)
select ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid, 'share ' || n, 'articles', n::text,
  case when n % 2 = 0 then '00000000-0000-4000-8000-000000000001'::uuid end,
  ('00000000-0000-4000-8000-' || lpad((1 + n % 5)::text, 12, '0'))::uuid,
  now() - interval '60 days', case when n % 3 = 0 then now() - interval '50 days' end,
  case
    when n <= 12 then now() - interval '8 days' - n * interval '5 hours'
    when n <= 18 then now() - interval '6 days 22 hours' - n * interval '1 minute'
    when n <= 26 then null
    else now() + n * interval '7 hours'
  end,
  n % 3, case when n % 4 = 0 then null else 10 end
from generate_series(1, 40) n;

insert into public.directus_sessions (token, "user", expires, ip, user_agent, share, origin, next_token)
select md5('session' || n),
  case when n between 31 and 34 then null else ('00000000-0000-4000-8000-' || lpad((1 + n % 5)::text, 12, '0'))::uuid end,
  case
    when n <= 12 then now() - interval '8 days' - n * interval '5 hours'
    when n <= 18 then now() - interval '6 days 22 hours' - n * interval '1 minute'
    else now() + n * interval '4 hours'
  end,
  case when n % 5 = 0 then null else '192.0.2.1' end, 'agent',
  case
    when n in (31, 32) then ('00000000-0000-4000-9000-' || lpad((n - 30)::text, 12, '0'))::uuid
    when n in (33, 34) then ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid
  end,
  null, case when n % 7 = 0 then md5('next' || n) end
from generate_series(1, 40) n;
`,
  tables: {
    "public.directus_sessions": {
      dead: `expires < now() or share in (select id from public.directus_shares where date_end < now())`,
      due: `expires < now() - interval '7 days'`,
    },
    "public.directus_shares": {
      dead: `date_end < now() or max_uses < times_used`,
      due: `date_end < now() - interval '7 days' and not exists (
        select from public.directus_sessions where share = directus_shares.id and not expires < now() - interval '7 days')`,
    },
  },
};
