/*
 * Auth.js / NextAuth (@auth/pg-adapter): sessions and verification tokens, both with `expires timestamptz not null`. A session
 * is dead when `expires < now`, and is deleted only if somebody comes back with it. A verification token is deleted when it is
 * used, otherwise never. accounts.expires_at is the expiry of the provider's access token: the row is the link between user and
 * provider and must not be cleaned.
 * Sources:
 *   https://github.com/nextauthjs/next-auth/blob/0dfa804d888df88f87880bdb4d670e7d3c2b9262/packages/adapter-pg/schema.sql
 *   https://github.com/nextauthjs/next-auth/blob/1d1467aa1de649a00ef7febdeb8b4a172c6c0a5d/packages/adapter-pg/src/index.ts
 *   https://github.com/nextauthjs/next-auth/blob/05f387165dd84c1d938295065f1f74dc77028314/packages/core/src/lib/actions/
 *     session.ts
 */
import type { RealSystem } from "./system.ts";

export const authjs: RealSystem = {
  name: "Auth.js",
  version: "@auth/pg-adapter 1",
  ddl: `
create table public.users (
  id serial,
  name varchar(255),
  email varchar(255) unique,
  "emailVerified" timestamptz,
  image text,
  primary key (id)
);
create table public.sessions (
  id serial,
  "userId" integer not null references public.users on delete cascade,
  expires timestamptz not null,
  "sessionToken" varchar(255) unique not null,
  primary key (id)
);
create table public.verification_token (
  identifier text not null,
  expires timestamptz not null,
  token text not null,
  primary key (identifier, token)
);
`,
  config: `targets:
  - preset: authjs
`,
  rows: `
insert into public.users (id, name, email) select n, 'user ' || n, 'user' || n || '@example.org' from generate_series(1, 5) n;
insert into public.sessions ("userId", expires, "sessionToken")
select 1 + n % 5,
  now() + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '7 hours'
  end,
  md5('session' || n)
from generate_series(1, 40) n;
insert into public.verification_token (identifier, expires, token)
select 'user' || n % 5 || '@example.org',
  now() + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '30 minutes'
  end,
  md5('token' || n)
from generate_series(1, 40) n;
`,
  tables: {
    "public.sessions": {
      dead: `expires < now()`,
      due: `expires < now() - interval '7 days'`,
    },
    "public.verification_token": {
      dead: `expires < now()`,
      due: `expires < now() - interval '7 days'`,
    },
  },
};
