/*
 * Supabase Auth (GoTrue) 2.180, October 2025: sessions, refresh tokens and short-lived state of logins.
 *
 * Times are timestamptz. GoTrue cleans up a little with each request: refresh tokens with "revoked is true and updated_at <
 * now() - 24 hours" (updated_at is the time of the revocation), sessions with "not_after < now() - 72 hours" (null: no end),
 * flow_state, saml_relay_states and mfa_challenges with "created_at < now() - 24 hours". It revokes the refresh tokens
 * of a session that is over. Sessions take refresh_tokens and mfa_amr_claims with them, flow_state takes relay states.
 * Sessions may end earlier by configuration (timebox: created_at, inactivity: refreshed_at); the default is neither.
 *
 * Sources: https://github.com/supabase/auth/blob/07889d31c41e8dc28893ee07e98987c290e46ee2/internal/models/cleanup.go
 *          https://github.com/supabase/auth/blob/05f1c0dec2ffa950aafc099049054d1f6c30d978/internal/models/sessions.go
 *          https://github.com/supabase/auth/tree/v2.180.0/migrations: 00_init_auth_schema, 20220811173540, 20221003041349,
 *            20221003041400, 20221021082433, 20230322519590, 20230508135423, 20230818113222, 20251007112900
 *          (indexes and the cascade of saml_relay_states.flow_state_id after dumps of hosted projects)
 */
import type { RealSystem } from "./system.ts";

/** 1-16 long before `age` ago, 17-19 a little less before it, the others later. */
const created = (age: string): string => `now() - case
    when i <= 16 then interval '${age}' + interval '7 days 1 hour' + i * interval '90 minutes'
    when i <= 19 then interval '${age}' + interval '6 days 22 hours' + i * interval '1 minute'
    else i * interval '10 minutes' end`;

const dayOld = {
  dead: "created_at < now() - interval '24 hours'",
  due: "created_at < now() - interval '24 hours' - interval '7 days'",
};

export const supabaseAuth: RealSystem = {
  name: "Supabase Auth",
  version: "2.180",
  ddl: `
create schema auth;
create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
create type auth.code_challenge_method as enum ('s256', 'plain');
create type auth.factor_status as enum ('unverified', 'verified');
create type auth.factor_type as enum ('totp', 'webauthn', 'phone');
create table auth.users (
  id uuid not null,
  email varchar(255),
  created_at timestamptz,
  constraint users_pkey primary key (id)
);
create table auth.sessions (
  id uuid not null,
  user_id uuid not null,
  created_at timestamptz,
  updated_at timestamptz,
  factor_id uuid,
  aal auth.aal_level,
  not_after timestamptz,
  refreshed_at timestamp without time zone,
  user_agent text,
  ip inet,
  tag text,
  oauth_client_id uuid,
  refresh_token_hmac_key text,
  refresh_token_counter bigint,
  constraint sessions_pkey primary key (id),
  constraint sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create index sessions_not_after_idx on auth.sessions (not_after desc);
create index sessions_oauth_client_id_idx on auth.sessions (oauth_client_id);
create index sessions_user_id_idx on auth.sessions (user_id);
create index user_id_created_at_idx on auth.sessions (user_id, created_at);
create table auth.refresh_tokens (
  instance_id uuid,
  id bigserial not null,
  token varchar(255),
  user_id varchar(255),
  revoked boolean,
  created_at timestamptz,
  updated_at timestamptz,
  parent varchar(255),
  session_id uuid,
  constraint refresh_tokens_pkey primary key (id),
  constraint refresh_tokens_token_unique unique (token),
  constraint refresh_tokens_session_id_fkey foreign key (session_id) references auth.sessions (id) on delete cascade
);
create index refresh_tokens_instance_id_idx on auth.refresh_tokens (instance_id);
create index refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
create index refresh_tokens_parent_idx on auth.refresh_tokens (parent);
create index refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
create index refresh_tokens_updated_at_idx on auth.refresh_tokens (updated_at desc);
create table auth.mfa_amr_claims (
  session_id uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  authentication_method text not null,
  id uuid not null,
  constraint amr_id_pk primary key (id),
  constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method),
  constraint mfa_amr_claims_session_id_fkey foreign key (session_id) references auth.sessions (id) on delete cascade
);
create table auth.mfa_factors (
  id uuid not null,
  user_id uuid not null,
  friendly_name text,
  factor_type auth.factor_type not null,
  status auth.factor_status not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  secret text,
  constraint mfa_factors_pkey primary key (id),
  constraint mfa_factors_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade
);
create table auth.mfa_challenges (
  id uuid not null,
  factor_id uuid not null,
  created_at timestamptz not null,
  verified_at timestamptz,
  ip_address inet not null,
  otp_code text,
  web_authn_session_data jsonb,
  constraint mfa_challenges_pkey primary key (id),
  constraint mfa_challenges_auth_factor_id_fkey foreign key (factor_id)
    references auth.mfa_factors (id) on delete cascade
);
create index mfa_challenge_created_at_idx on auth.mfa_challenges (created_at desc);
create table auth.flow_state (
  id uuid not null,
  user_id uuid,
  auth_code text not null,
  code_challenge_method auth.code_challenge_method not null,
  code_challenge text not null,
  provider_type text not null,
  provider_access_token text,
  provider_refresh_token text,
  created_at timestamptz,
  updated_at timestamptz,
  authentication_method text not null,
  auth_code_issued_at timestamptz,
  constraint flow_state_pkey primary key (id)
);
create index flow_state_created_at_idx on auth.flow_state (created_at desc);
create index idx_auth_code on auth.flow_state (auth_code);
create table auth.sso_providers (
  id uuid not null,
  resource_id text,
  created_at timestamptz,
  updated_at timestamptz,
  constraint sso_providers_pkey primary key (id)
);
create table auth.saml_relay_states (
  id uuid not null,
  sso_provider_id uuid not null,
  request_id text not null,
  for_email text,
  redirect_to text,
  created_at timestamptz,
  updated_at timestamptz,
  flow_state_id uuid,
  constraint saml_relay_states_pkey primary key (id),
  constraint "request_id not empty" check (char_length(request_id) > 0),
  constraint saml_relay_states_flow_state_id_fkey foreign key (flow_state_id)
    references auth.flow_state (id) on delete cascade,
  constraint saml_relay_states_sso_provider_id_fkey foreign key (sso_provider_id)
    references auth.sso_providers (id) on delete cascade
);
create index saml_relay_states_created_at_idx on auth.saml_relay_states (created_at desc);
create index saml_relay_states_for_email_idx on auth.saml_relay_states (for_email);
create index saml_relay_states_sso_provider_id_idx on auth.saml_relay_states (sso_provider_id);`,
  config: `targets:
  - preset: supabase-auth
`,
  rows: `
insert into auth.users select md5('user ' || i)::uuid, 'user' || i || '@example.com', now() from generate_series(0, 6) i;
-- sessions: 1-16 over for days, 17-19 not for long enough, 20-30 with an end ahead, 31-40 without an end
insert into auth.sessions (id, user_id, created_at, updated_at, aal, not_after, refreshed_at, ip)
select md5('session ' || i)::uuid, md5('user ' || i % 7)::uuid, now() - interval '40 days', now(), 'aal1',
  now() + case
    when i <= 16 then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i <= 19 then -(interval '2 days 22 hours' + i * interval '1 minute')
    when i <= 30 then i * interval '1 hour' end,
  case when i % 2 = 0 then now() at time zone 'utc' end, '10.0.0.1'
from generate_series(1, 40) i;
insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method, id)
select id, now(), now(), 'password', md5('claim ' || id)::uuid from auth.sessions;
-- the tokens of sessions that are over for days: revoked by GoTrue a day after their end
insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, session_id)
select 'over-' || i, md5('user ' || i % 7)::uuid::text, true, now() - interval '40 days',
  now() - (interval '6 days' + i * interval '90 minutes'), md5('session ' || i)::uuid
from generate_series(1, 16) i;
-- the live token of each other session, its predecessor revoked less than a day ago, and an older one of a few of them
insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
select 'live-' || i, md5('user ' || i % 7)::uuid::text, false, now(), now() - interval '20 days', 'last-' || i,
  md5('session ' || i)::uuid
from generate_series(17, 40) i
union all
select 'last-' || i, md5('user ' || i % 7)::uuid::text, true, now() - interval '2 hours',
  now() - interval '22 hours' - i * interval '1 minute', null, md5('session ' || i)::uuid
from generate_series(17, 40) i
union all
select 'older-' || i, md5('user ' || i % 7)::uuid::text, true, now() - interval '20 days',
  now() - interval '7 days 1 hour' - i * interval '100 minutes', null, md5('session ' || i)::uuid
from generate_series(33, 40) i;
-- tokens from before there were sessions, with nulls
insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at)
values ('null-1', 'somebody', null, null, null), ('null-2', 'somebody', null, null, now() - interval '90 days'),
  ('null-3', null, true, null, null), (null, null, false, now() - interval '90 days', now() - interval '90 days');
insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type, created_at,
  updated_at, authentication_method)
select md5('flow ' || i)::uuid, case when i % 3 = 0 then md5('user ' || i % 7)::uuid end, md5('code ' || i), 's256', 'x',
  'saml', case when i < 39 then ${created("1 day")} end, now(), 'sso/saml'
from generate_series(1, 40) i;
insert into auth.sso_providers values (md5('provider')::uuid, 'company', now(), now());
insert into auth.saml_relay_states (id, sso_provider_id, request_id, created_at, updated_at, flow_state_id)
select md5('relay ' || i)::uuid, md5('provider')::uuid, 'request-' || i, case when i < 39 then ${created("1 day")} end,
  now(), case when i % 2 = 0 then md5('flow ' || i)::uuid end
from generate_series(1, 40) i;
insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
select md5('factor ' || i)::uuid, md5('user ' || i)::uuid, 'totp', 'verified', now(), now() from generate_series(0, 6) i;
insert into auth.mfa_challenges (id, factor_id, created_at, verified_at, ip_address)
select md5('challenge ' || i)::uuid, md5('factor ' || i % 7)::uuid, ${created("1 day")},
  case when i % 2 = 0 then now() end, '10.0.0.1'
from generate_series(1, 40) i;`,
  tables: {
    "auth.refresh_tokens": {
      dead: "revoked is true",
      due: "(revoked is true and updated_at < now() - interval '24 hours')",
    },
    "auth.sessions": { dead: "not_after < now()", due: "not_after < now() - interval '72 hours'" },
    "auth.saml_relay_states": dayOld,
    "auth.flow_state": dayOld,
    "auth.mfa_challenges": dayOld,
  },
};
