/*
 * Better Auth 1.4 (its own migration for PostgreSQL): session and verification, with mixed-case column names and timestamptz. A
 * session counts while `"expiresAt" > now`; findVerificationValue deletes verifications with `"expiresAt" < now` unless
 * verification.disableCleanup is set. Sessions are deleted at sign-out and when somebody comes back with one. account has times
 * of expiry too, of the provider's tokens: not to be cleaned.
 * Sources:
 *   https://github.com/better-auth/better-auth/blob/004065d490f7c8606828a175b488d8d6806565f5/packages/better-auth/src/db/
 *     get-tables.ts
 *   https://github.com/better-auth/better-auth/blob/0068c69e57fab4b8d90d5fd54e0545bec309364e/packages/better-auth/src/db/
 *     internal-adapter.ts
 *   a migration that it generated: https://github.com/AliiiBenn/python-secrets
 *   (better-auth_migrations/2026-01-06T05-49-47.160Z.sql)
 */
import type { RealSystem } from "./system.ts";

export const betterAuth: RealSystem = {
  name: "Better Auth",
  version: "1.4",
  ddl: `
create table public."user" (
  "id" text not null primary key,
  "name" text not null,
  "email" text not null unique,
  "emailVerified" boolean not null,
  "image" text,
  "createdAt" timestamptz default current_timestamp not null,
  "updatedAt" timestamptz default current_timestamp not null
);
create table public."session" (
  "id" text not null primary key,
  "expiresAt" timestamptz not null,
  "token" text not null unique,
  "createdAt" timestamptz default current_timestamp not null,
  "updatedAt" timestamptz not null,
  "ipAddress" text,
  "userAgent" text,
  "userId" text not null references public."user" ("id") on delete cascade
);
create index "session_userId_idx" on public."session" ("userId");
create table public."verification" (
  "id" text not null primary key,
  "identifier" text not null,
  "value" text not null,
  "expiresAt" timestamptz not null,
  "createdAt" timestamptz default current_timestamp not null,
  "updatedAt" timestamptz default current_timestamp not null
);
create index "verification_identifier_idx" on public."verification" ("identifier");
`,
  config: `targets:
  - preset: better-auth
`,
  rows: `
insert into public."user" ("id", "name", "email", "emailVerified")
select 'user' || n, 'user ' || n, 'user' || n || '@example.org', true from generate_series(1, 5) n;
insert into public."session" ("id", "expiresAt", "token", "updatedAt", "ipAddress", "userAgent", "userId")
select 'session' || n,
  now() + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '4 hours'
  end,
  md5('token' || n), now() - interval '1 day', case when n % 3 = 0 then null else '' end, null, 'user' || (1 + n % 5)
from generate_series(1, 40) n;
insert into public."verification" ("id", "identifier", "value", "expiresAt")
select 'verification' || n, 'user' || n % 5 || '@example.org', md5('value' || n),
  now() + case
    when n <= 14 then -interval '8 days' - n * interval '5 hours'
    when n <= 20 then -interval '6 days 22 hours' - n * interval '1 minute'
    else n * interval '10 minutes'
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.session": {
      dead: `"expiresAt" < now()`,
      due: `"expiresAt" < now() - interval '7 days'`,
    },
    "public.verification": {
      dead: `"expiresAt" < now()`,
      due: `"expiresAt" < now() - interval '7 days'`,
    },
  },
};
