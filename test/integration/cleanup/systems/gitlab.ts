/*
 * GitLab 18.1: personal (also project and group) access tokens, and Doorkeeper's OAuth tokens and grants. A personal access
 * token has `expires_at date` (null: never) and `revoked boolean` (null counts as false). It has no time of revocation: revoke!
 * sets updated_at, and GitLab itself (scope revoked_after) takes updated_at for that time. Scope `inactive`: `revoked = true OR
 * expires_at < CURRENT_DATE`. (Concern Expirable refuses the token a day earlier, from the start of the day expires_at; to
 * delete by `inactive` is the careful choice.) A workspace's token must not be deleted (foreign key with RESTRICT): such rows
 * are held. A rotated token refers to the one before it (SET NULL). OAuth: as Doorkeeper, see doorkeeper.ts; expires_in is not
 * null, 7200 by default. Foreign keys of these tables to organizations, users (OAuth) and applications are left out.
 * Sources:
 *   https://github.com/gitlabhq/gitlabhq/blob/0016ea0586afbe89b5823f3fc254045ce7115af2/db/structure.sql
 *   https://github.com/gitlabhq/gitlabhq/blob/017a6c129d6a9e4ad9fec792cd84f88641d7dbfe/app/models/personal_access_token.rb
 *   https://github.com/gitlabhq/gitlabhq/blob/13ae0aaf8b8b2d485eb16765c7ff8a9351bdada3/app/models/concerns/expirable.rb
 *   migrations AddPersonalAccessTokenLastUsedIpsTable, AddFkToPersonalAccessTokensOnPreviousPersonalAccessTokenId,
 *   AddPersonalAccessTokenIdToWorkspaces, UpdatePersonalAccessTokensUserIdForeignKey, UpdateOauthOpenIdRequestsForeignKeys
 */
import type { RealSystem } from "./system.ts";

export const gitlab: RealSystem = {
  name: "GitLab",
  version: "18.1",
  ddl: `
create table public.users (id bigserial primary key, username character varying);
create table public.personal_access_tokens (
  id bigserial primary key,
  user_id bigint not null,
  name character varying not null,
  revoked boolean default false,
  expires_at date,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  scopes character varying default '--- []\n'::character varying not null,
  impersonation boolean default false not null,
  token_digest character varying,
  expire_notification_delivered boolean default false not null,
  last_used_at timestamp with time zone,
  after_expiry_notification_delivered boolean default false not null,
  previous_personal_access_token_id bigint references public.personal_access_tokens (id) on delete set null,
  organization_id bigint not null,
  seven_days_notification_sent_at timestamp with time zone,
  thirty_days_notification_sent_at timestamp with time zone,
  sixty_days_notification_sent_at timestamp with time zone,
  description text,
  constraint check_6d2ddc9355 check (char_length(description) <= 255),
  constraint fk_personal_access_tokens_user_id foreign key (user_id) references public.users (id) on delete cascade
);
create unique index on public.personal_access_tokens (token_digest);
create index on public.personal_access_tokens (previous_personal_access_token_id);
create table public.personal_access_token_last_used_ips (
  id bigserial primary key,
  personal_access_token_id bigint not null references public.personal_access_tokens (id) on delete cascade,
  organization_id bigint not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  ip_address inet
);
create index idx_pat_last_used_ips_on_pat_id on public.personal_access_token_last_used_ips (personal_access_token_id);
create table public.workspaces (
  id bigserial primary key,
  personal_access_token_id bigint references public.personal_access_tokens (id) on delete restrict
);
create index index_workspaces_on_personal_access_token_id on public.workspaces (personal_access_token_id);
create table public.oauth_access_grants (
  id bigserial primary key,
  resource_owner_id bigint not null,
  application_id bigint not null,
  token character varying not null,
  expires_in integer not null,
  redirect_uri text not null,
  created_at timestamp without time zone not null,
  revoked_at timestamp without time zone,
  scopes character varying,
  code_challenge text,
  code_challenge_method text,
  organization_id bigint not null,
  constraint oauth_access_grants_code_challenge check (char_length(code_challenge) <= 128),
  constraint oauth_access_grants_code_challenge_method check (char_length(code_challenge_method) <= 5)
);
create unique index on public.oauth_access_grants (token);
create table public.oauth_openid_requests (
  id bigserial primary key,
  access_grant_id bigint not null references public.oauth_access_grants (id) on delete cascade,
  nonce character varying not null,
  organization_id bigint not null
);
create index on public.oauth_openid_requests (access_grant_id);
create table public.oauth_access_tokens (
  id bigserial primary key,
  resource_owner_id bigint,
  application_id bigint,
  token character varying not null,
  refresh_token character varying,
  expires_in integer default 7200,
  revoked_at timestamp without time zone,
  created_at timestamp without time zone not null,
  scopes character varying,
  organization_id bigint not null,
  constraint check_70f294ef54 check (expires_in is not null)
);
create unique index on public.oauth_access_tokens (token);
create unique index on public.oauth_access_tokens (refresh_token);
`,
  config: `targets:
  - table: public.personal_access_tokens
    expiresAt: expires_at
    revoked: "revoked = true"
    revokedAt: updated_at
    timezone: UTC
    retention: { expired: 7d, revoked: 7d }
    owner: user_id
    cascade: [public.personal_access_token_last_used_ips]
  - table: public.oauth_access_tokens
    name: oauth access tokens
    where: "refresh_token is null"
    expiresAt: { column: created_at, plusSeconds: expires_in }
    revokedAt: revoked_at
    timezone: UTC
    retention: { expired: 7d, revoked: 7d }
    owner: resource_owner_id
  - table: public.oauth_access_tokens
    name: refreshable oauth access tokens
    where: "refresh_token is not null"
    revokedAt: revoked_at
    timezone: UTC
    retention: { revoked: 7d }
    owner: resource_owner_id
  - table: public.oauth_access_grants
    expiresAt: { column: created_at, plusSeconds: expires_in }
    revokedAt: revoked_at
    timezone: UTC
    retention: { expired: 7d, revoked: 7d }
    owner: resource_owner_id
    cascade: [public.oauth_openid_requests]
`,
  // Personal access tokens: 1-8 expired and 9-14 revoked long ago, 15-16 expired long ago but a workspace's, 17-20 revoked and
  // 21-24 expired recently, 25 ends today, 26-33 never expire, 34-60 live; 41 and 42 were rotated from 9 and 10.
  rows: `
insert into public.users (id, username) select n, 'user' || n from generate_series(1, 5) n;
insert into public.personal_access_tokens
  (id, user_id, name, revoked, expires_at, created_at, updated_at, token_digest, previous_personal_access_token_id,
   organization_id)
select n, 1 + n % 5, 'token ' || n,
  case when n between 9 and 14 or n between 17 and 20 then true when n % 7 = 0 then null else false end,
  (now() at time zone 'UTC')::date + case
    when n <= 8 then -9 - n
    when n in (15, 16) then -20 - n
    when n between 21 and 24 then 20 - n
    when n = 25 then 0
    when n between 26 and 33 or (n <= 20 and n % 2 = 0) then null
    else n
  end,
  (now() at time zone 'UTC') - interval '200 days',
  (now() at time zone 'UTC') - case
    when n between 9 and 14 then interval '8 days' + n * interval '5 hours'
    when n between 17 and 20 then interval '6 days 22 hours' + n * interval '1 minute'
    else interval '60 days' + n * interval '5 hours'
  end,
  'digest' || n, case when n in (41, 42) then n - 32 end, 1
from generate_series(1, 60) n;
insert into public.personal_access_token_last_used_ips
  (personal_access_token_id, organization_id, created_at, updated_at, ip_address)
select n, 1, now(), now(), '192.0.2.1' from generate_series(1, 40) n;
insert into public.workspaces (id, personal_access_token_id) values (1, 15), (2, 16), (3, 50), (4, null);

insert into public.oauth_access_tokens
  (resource_owner_id, application_id, token, refresh_token, expires_in, revoked_at, created_at, scopes, organization_id)
select case when n % 10 = 0 then null else 1 + n % 5 end, 1 + n % 3, 'token' || n,
  case when n between 11 and 16 or n between 23 and 32 or (n >= 33 and n % 2 = 0) then 'refresh' || n end, 7200,
  case
    when n between 11 and 16 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n between 23 and 26 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
  end,
  (now() at time zone 'UTC') - case
    when n <= 10 then interval '9 days' + n * interval '5 hours'
    when n <= 16 or n between 27 and 32 then interval '30 days' + n * interval '5 hours'
    when n <= 26 then interval '7 days' + n * interval '1 minute'
    else n * interval '1 minute'
  end,
  'api', 1
from generate_series(1, 56) n;

insert into public.oauth_access_grants
  (id, resource_owner_id, application_id, token, expires_in, redirect_uri, created_at, revoked_at, scopes, organization_id)
select n, 1 + n % 5, 1 + n % 3, 'code' || n, case when n <= 26 then 600 else 86400 end, 'https://example.org', g.created_at,
  case when n between 8 and 14 or n between 21 and 26 then g.created_at + interval '10 seconds' end, 'openid', 1
from generate_series(1, 40) n,
  lateral (
    select (now() at time zone 'UTC') - case
      when n <= 14 then interval '8 days' + n * interval '5 hours'
      when n <= 26 then interval '6 days 22 hours' + n * interval '1 minute'
      else n * interval '1 minute'
    end as created_at
  ) g;
insert into public.oauth_openid_requests (access_grant_id, nonce, organization_id)
select n, 'nonce' || n, 1 from generate_series(1, 40) n;
`,
  tables: {
    "public.personal_access_tokens": {
      dead: `revoked = true or expires_at < (now() at time zone 'UTC')::date`,
      due: `((revoked = true and updated_at < (now() at time zone 'UTC') - interval '7 days')
          or expires_at + 8 <= (now() at time zone 'UTC'))
        and id not in (select personal_access_token_id from public.workspaces where personal_access_token_id is not null)`,
    },
    "public.oauth_access_tokens": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or (refresh_token is null and created_at + expires_in * interval '1 second' < (now() at time zone 'UTC'))`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or (refresh_token is null
          and created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days')`,
    },
    "public.oauth_access_grants": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC')`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
