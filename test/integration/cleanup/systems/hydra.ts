/*
 * Ory Hydra 2.4+ (schema of late 2025): OAuth2 tokens, codes and the list of used JWT ids.
 *
 * Each row carries expires_at (timestamp without time zone, UTC), which Hydra writes from the session: of the access or
 * refresh token itself, and of the authorization code for hydra_oauth2_code, _oidc and _pkce. It is null in rows older
 * than 2.3 and where the lifespan is -1 (never expires). Hydra's own "janitor" deletes access and refresh tokens by
 * requested_at + the configured lifespan, whatever their "active" flag: inactive rows must stay until they expire, for a
 * second use of a refresh token or code is recognised by them. Used JWT ids: expires_at < now().
 * hydra_oauth2_flow is a parent here, not a target: every token hangs on it with ON DELETE CASCADE (see NOTES-1.md).
 *
 * Sources: https://github.com/ory/hydra/blob/153d789d811b0050184f557cd0ea5e2651c50a73/
 *            internal/testhelpers/sql_schemas/postgres_dump.sql
 *          https://github.com/ory/hydra/blob/ba0cb06ce44d0bcfbb2818193764ba54541ff5d7/persistence/sql/persister_consent.go
 *          https://github.com/ory/hydra/blob/master/persistence/sql/persister_oauth2.go (2.x version: createSession with
 *            expires_at, flushInactiveTokens, SetClientAssertionJWT)
 */
import type { RealSystem } from "./system.ts";

const utc = "(now() at time zone 'utc')";
const network = "'11111111-1111-1111-1111-111111111111'::uuid";

const requestTable = (name: string, more: string): string => `
create table public.hydra_oauth2_${name} (
  signature varchar(255) not null,
  request_id varchar(40) not null,
  requested_at timestamp without time zone default now() not null,
  client_id varchar(255) not null,
  scope text not null,
  granted_scope text not null,
  form_data text not null,
  session_data text not null,
  subject varchar(255) default '' not null,
  active boolean default true not null,
  requested_audience text default '',
  granted_audience text default '',
  challenge_id varchar(40),
  nid uuid not null,
  expires_at timestamp without time zone${more},
  constraint hydra_oauth2_${name}_pkey primary key (signature),
  constraint hydra_oauth2_${name}_challenge_id_fk foreign key (challenge_id)
    references public.hydra_oauth2_flow (consent_challenge_id) on delete cascade,
  constraint hydra_oauth2_${name}_client_id_fk foreign key (client_id, nid)
    references public.hydra_client (id, nid) on delete cascade,
  constraint hydra_oauth2_${name}_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create index hydra_oauth2_${name}_challenge_id_idx on public.hydra_oauth2_${name} (challenge_id);
create index hydra_oauth2_${name}_client_id_idx on public.hydra_oauth2_${name} (client_id, nid);`;

/** Forty rows: 1-16 long expired, 17-19 not for long enough, 20-32 alive, 33-40 without an expiry; each third is inactive. */
const requestRows = (name: string): string => `
insert into public.hydra_oauth2_${name} (signature, request_id, requested_at, client_id, scope, granted_scope, form_data,
  session_data, subject, active, challenge_id, nid, expires_at)
select '${name}-' || i, md5('${name} request ' || i)::uuid::text, ${utc} - interval '40 days', 'client-' || i % 2,
  'openid', 'openid', '', '{}', 'subject-' || i % 5, i % 3 <> 0,
  case when i % 4 = 0 then 'consent-' || i end, ${network},
  ${utc} + case
    when i <= 16 then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i <= 19 then -(interval '6 days 22 hours' + i * interval '1 minute')
    when i <= 32 then i * interval '10 minutes' end
from generate_series(1, 40) i;`;

const expired = { dead: `expires_at < ${utc}`, due: `expires_at < ${utc} - interval '7 days'` };

export const hydra: RealSystem = {
  name: "Ory Hydra",
  version: "2.4",
  ddl: `
create table public.networks (
  id uuid not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  constraint networks_pkey primary key (id)
);
create table public.hydra_client (
  id varchar(255) not null,
  client_name text not null,
  client_secret text not null,
  nid uuid not null,
  constraint hydra_client_pkey primary key (id, nid),
  constraint hydra_client_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create table public.hydra_oauth2_authentication_session (
  id varchar(40) not null,
  authenticated_at timestamp without time zone,
  subject varchar(255) not null,
  remember boolean default false not null,
  nid uuid not null,
  identity_provider_session_id varchar(40),
  expires_at timestamp without time zone,
  constraint hydra_oauth2_authentication_session_pkey primary key (id),
  constraint hydra_oauth2_authentication_session_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create table public.hydra_oauth2_flow (
  login_challenge varchar(40) not null,
  subject varchar(255),
  client_id varchar(255),
  requested_at timestamp without time zone default now() not null,
  login_session_id varchar(40),
  state integer,
  consent_challenge_id varchar(40),
  consent_remember boolean,
  consent_remember_for integer,
  consent_handled_at timestamp without time zone,
  nid uuid not null,
  expires_at timestamp without time zone generated always as (
    case when consent_remember_for > 0
      then requested_at + consent_remember_for::double precision * interval '1 second' end) stored,
  constraint hydra_oauth2_flow_pkey primary key (login_challenge),
  constraint hydra_oauth2_flow_client_id_fk foreign key (client_id, nid)
    references public.hydra_client (id, nid) on delete cascade,
  constraint hydra_oauth2_flow_login_session_id_fk foreign key (login_session_id)
    references public.hydra_oauth2_authentication_session (id) on delete set null,
  constraint hydra_oauth2_flow_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create unique index hydra_oauth2_flow_consent_challenge_idx on public.hydra_oauth2_flow (consent_challenge_id);
create index hydra_oauth2_flow_login_session_id_idx on public.hydra_oauth2_flow (login_session_id, nid);
${requestTable("access", "")}
create index hydra_oauth2_access_request_id_idx on public.hydra_oauth2_access (request_id, nid);
create index hydra_oauth2_access_requested_at_idx on public.hydra_oauth2_access (requested_at, nid);
${requestTable(
  "refresh",
  `,
  first_used_at timestamp without time zone,
  access_token_signature varchar(255) default null,
  used_times integer`,
)}
create index hydra_oauth2_refresh_request_id_idx on public.hydra_oauth2_refresh (request_id);
create index hydra_oauth2_refresh_requested_at_idx on public.hydra_oauth2_refresh (nid, requested_at);
${requestTable("code", "")}
${requestTable("oidc", "")}
${requestTable("pkce", "")}
create table public.hydra_oauth2_jti_blacklist (
  signature varchar(64) not null,
  expires_at timestamp without time zone default now() not null,
  nid uuid not null,
  constraint hydra_oauth2_jti_blacklist_pkey primary key (signature, nid),
  constraint hydra_oauth2_jti_blacklist_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create index hydra_oauth2_jti_blacklist_expires_at_idx on public.hydra_oauth2_jti_blacklist (expires_at, nid);`,
  config: `targets:
  - preset: hydra
`,
  rows: `
insert into public.networks values (${network}, ${utc}, ${utc});
insert into public.hydra_client select 'client-' || i, 'Client ' || i, 'secret', ${network} from generate_series(0, 1) i;
insert into public.hydra_oauth2_authentication_session (id, authenticated_at, subject, remember, nid)
select 'login-' || i, ${utc} - interval '40 days', 'subject-' || i, true, ${network} from generate_series(0, 4) i;
insert into public.hydra_oauth2_flow (login_challenge, subject, client_id, requested_at, login_session_id, state,
  consent_challenge_id, consent_remember, consent_remember_for, consent_handled_at, nid)
select 'challenge-' || i, 'subject-' || i % 5, 'client-' || i % 2, ${utc} - interval '40 days', 'login-' || i % 5, 6,
  'consent-' || i, true, case when i % 2 = 0 then 3600 else 0 end, ${utc} - interval '40 days', ${network}
from generate_series(1, 40) i;
${requestRows("access")}
${requestRows("refresh")}
${requestRows("code")}
${requestRows("oidc")}
${requestRows("pkce")}
insert into public.hydra_oauth2_jti_blacklist (signature, expires_at, nid)
select md5('jti ' || i), ${utc} + case
  when i <= 16 then -(interval '7 days 1 hour' + i * interval '90 minutes')
  when i <= 19 then -(interval '6 days 22 hours' + i * interval '1 minute')
  else i * interval '10 minutes' end, ${network}
from generate_series(1, 40) i;`,
  tables: {
    "public.hydra_oauth2_access": expired,
    "public.hydra_oauth2_refresh": expired,
    "public.hydra_oauth2_code": expired,
    "public.hydra_oauth2_oidc": expired,
    "public.hydra_oauth2_pkce": expired,
    "public.hydra_oauth2_jti_blacklist": expired,
  },
};
