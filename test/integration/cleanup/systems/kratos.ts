/*
 * Ory Kratos 1.1 - 1.2: sessions and the flows of self-service.
 *
 * Times are timestamp without time zone in UTC. A session lives while "active" is true and expires_at is in the future; a logout
 * sets active = false and writes no time. Kratos' own clean-up deletes sessions with (expires_at <= t or active = false)
 * and flows with expires_at <= t. session_devices and the flows' codes follow by ON DELETE CASCADE;
 * session_token_exchanges and selfservice_verification_flows only mention a session, without a foreign key.
 *
 * Sources: https://github.com/ory/kratos/blob/0054a2d5c691d0e4dfde77b4acf3722709145a9d/persistence/sql/persister_session.go
 *          https://github.com/ory/kratos/blob/11183d585d3f55fa0ed302b16b8a81ebcf434fab/persistence/sql/persister_login.go
 *          https://github.com/ory/kratos/blob/019f6d6c413e934d1a750ab10dc86d87b1e018ed/session/session.go (IsActive)
 *          the schema after a pg_dump of a database migrated by Kratos in May 2024, which names the migrations of
 *          https://github.com/ory/kratos/tree/v1.1.0/persistence/sql/migrations/sql
 */
import type { RealSystem } from "./system.ts";

const utc = "(now() at time zone 'utc')";
const network = "'11111111-1111-1111-1111-111111111111'::uuid";

/** 1-16 long expired, 17-19 not for long enough, the others alive. */
const expiry = `${utc} + case
    when i <= 16 then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i <= 19 then -(interval '6 days 22 hours' + i * interval '1 minute')
    else i * interval '10 minutes' end`;

const expired = { dead: `expires_at <= ${utc}`, due: `expires_at <= ${utc} - interval '7 days'` };

export const kratos: RealSystem = {
  name: "Ory Kratos",
  version: "1.1",
  ddl: `
create table public.networks (
  id uuid not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  constraint networks_pkey primary key (id)
);
create table public.identities (
  id uuid not null,
  schema_id varchar(2048) not null,
  traits jsonb not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  nid uuid,
  state varchar(255) default 'active' not null,
  constraint identities_pkey primary key (id),
  constraint identities_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create table public.sessions (
  id uuid not null,
  issued_at timestamp without time zone default current_timestamp not null,
  expires_at timestamp without time zone not null,
  authenticated_at timestamp without time zone not null,
  identity_id uuid not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  token varchar(39),
  active boolean default false,
  nid uuid,
  logout_token varchar(39),
  aal varchar(4) default 'aal1' not null,
  authentication_methods jsonb not null,
  constraint sessions_pkey primary key (id),
  constraint sessions_identity_id_fkey foreign key (identity_id) references public.identities (id) on delete cascade,
  constraint sessions_nid_fk_idx foreign key (nid) references public.networks (id) on update restrict on delete cascade
);
create index sessions_id_nid_idx on public.sessions (id, nid);
create index sessions_identity_id_nid_sorted_idx on public.sessions (identity_id, nid, authenticated_at desc);
create unique index sessions_logout_token_uq_idx on public.sessions (logout_token);
create index sessions_nid_created_at_id_idx on public.sessions (nid, created_at desc, id);
create index sessions_nid_id_identity_id_idx on public.sessions (nid, identity_id, id);
create index sessions_token_nid_idx on public.sessions (nid, token);
create unique index sessions_token_uq_idx on public.sessions (token);
create table public.session_devices (
  id uuid not null,
  ip_address varchar(50) default '',
  user_agent varchar(512) default '',
  location varchar(512) default '',
  nid uuid not null,
  session_id uuid not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  constraint session_devices_pkey primary key (id),
  constraint session_metadata_nid_fk foreign key (nid) references public.networks (id) on delete cascade,
  constraint session_metadata_sessions_id_fk foreign key (session_id) references public.sessions (id) on delete cascade
);
create index session_devices_id_nid_idx on public.session_devices (id, nid);
create index session_devices_session_id_nid_idx on public.session_devices (session_id, nid);

create table public.selfservice_login_flows (
  id uuid not null,
  request_url text not null,
  issued_at timestamp without time zone default current_timestamp not null,
  expires_at timestamp without time zone not null,
  active_method varchar(32) not null,
  csrf_token varchar(255) not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  forced boolean default false not null,
  type varchar(16) default 'browser' not null,
  ui jsonb,
  nid uuid,
  requested_aal varchar(4) default 'aal1' not null,
  internal_context jsonb not null,
  oauth2_login_challenge uuid,
  oauth2_login_challenge_data text,
  state varchar(255),
  submit_count integer default 0 not null,
  organization_id uuid,
  constraint selfservice_login_flows_pkey primary key (id),
  constraint selfservice_login_flows_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);
create index selfservice_login_flows_id_nid_idx on public.selfservice_login_flows (id, nid);
create index selfservice_login_flows_nid_id_idx on public.selfservice_login_flows (nid, id);
create table public.identity_login_codes (
  id uuid not null,
  code varchar(64) not null,
  address varchar(255) not null,
  address_type character(36) not null,
  used_at timestamp without time zone,
  expires_at timestamp without time zone default '2000-01-01 00:00:00' not null,
  issued_at timestamp without time zone default '2000-01-01 00:00:00' not null,
  selfservice_login_flow_id uuid not null,
  identity_id uuid not null,
  created_at timestamp without time zone default current_timestamp not null,
  updated_at timestamp without time zone default current_timestamp not null,
  nid uuid not null,
  constraint identity_login_codes_pkey primary key (id),
  constraint identity_login_codes_networks_id_fk foreign key (nid)
    references public.networks (id) on update restrict on delete cascade,
  constraint identity_login_codes_selfservice_login_flows_id_fk foreign key (selfservice_login_flow_id)
    references public.selfservice_login_flows (id) on delete cascade
);
create index identity_login_codes_nid_flow_id_idx on public.identity_login_codes (nid, selfservice_login_flow_id);

create table public.selfservice_recovery_flows (
  id uuid not null,
  request_url text not null,
  issued_at timestamp without time zone default current_timestamp not null,
  expires_at timestamp without time zone not null,
  active_method varchar(32),
  csrf_token varchar(255) not null,
  state varchar(32) not null,
  recovered_identity_id uuid,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  type varchar(16) default 'browser' not null,
  ui jsonb,
  nid uuid,
  submit_count integer default 0 not null,
  skip_csrf_check boolean default false not null,
  constraint selfservice_recovery_flows_pkey primary key (id),
  constraint selfservice_recovery_flows_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade,
  constraint selfservice_recovery_requests_recovered_identity_id_fkey foreign key (recovered_identity_id)
    references public.identities (id) on delete cascade
);
create table public.identity_recovery_tokens (
  id uuid not null,
  token varchar(64) not null,
  used boolean default false not null,
  used_at timestamp without time zone,
  identity_recovery_address_id uuid,
  selfservice_recovery_flow_id uuid,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  expires_at timestamp without time zone default '2000-01-01 00:00:00' not null,
  issued_at timestamp without time zone default '2000-01-01 00:00:00' not null,
  nid uuid,
  identity_id uuid not null,
  token_type integer default 0 not null,
  constraint identity_recovery_tokens_pkey primary key (id),
  constraint identity_recovery_tokens_token_type_ck check (token_type = 1 or token_type = 2),
  constraint identity_recovery_tokens_identity_id_fk_idx foreign key (identity_id)
    references public.identities (id) on update restrict on delete cascade,
  constraint identity_recovery_tokens_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade,
  constraint identity_recovery_tokens_selfservice_recovery_request_id_fkey foreign key (selfservice_recovery_flow_id)
    references public.selfservice_recovery_flows (id) on delete cascade
);
create unique index identity_recovery_addresses_code_uq_idx on public.identity_recovery_tokens (token);
create index identity_recovery_tokens_selfservice_recovery_flow_id_idx
  on public.identity_recovery_tokens (selfservice_recovery_flow_id);

create table public.continuity_containers (
  id uuid not null,
  identity_id uuid,
  name varchar(255) not null,
  payload jsonb,
  expires_at timestamp without time zone not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  nid uuid,
  constraint continuity_containers_pkey primary key (id),
  constraint continuity_containers_identity_id_fkey foreign key (identity_id)
    references public.identities (id) on delete cascade,
  constraint continuity_containers_nid_fk_idx foreign key (nid)
    references public.networks (id) on update restrict on delete cascade
);`,
  config: `targets:
  - preset: kratos
`,
  rows: `
insert into public.networks values (${network}, ${utc}, ${utc});
insert into public.identities (id, schema_id, traits, created_at, updated_at, nid)
select md5('identity ' || i)::uuid, 'default', '{}', ${utc}, ${utc}, ${network} from generate_series(0, 6) i;
-- 1-16 expired, 17-19 expired within the retention, 20-25 logged out while not expired, 26-48 alive, 49-50 unknown state
insert into public.sessions (id, issued_at, expires_at, authenticated_at, identity_id, created_at, updated_at, token,
  active, nid, logout_token, authentication_methods)
select md5('session ' || i)::uuid, ${utc} - interval '30 days', ${expiry}, ${utc} - interval '30 days',
  md5('identity ' || i % 7)::uuid, ${utc} - interval '30 days', ${utc}, md5('token ' || i),
  case when i between 20 and 25 then false when i >= 49 then null else true end, ${network}, md5('logout ' || i), '[]'
from generate_series(1, 50) i;
insert into public.session_devices (id, ip_address, nid, session_id, created_at, updated_at)
select md5('device ' || i || ' ' || n)::uuid, '10.0.0.' || n, ${network}, md5('session ' || i)::uuid, ${utc}, ${utc}
from generate_series(1, 50) i, generate_series(1, 2) n;
insert into public.selfservice_login_flows (id, request_url, expires_at, active_method, csrf_token, created_at, updated_at,
  nid, internal_context)
select md5('login ' || i)::uuid, 'https://id.example/login', ${expiry}, '', 'csrf', ${utc}, ${utc}, ${network}, '{}'
from generate_series(1, 40) i;
insert into public.identity_login_codes (id, code, address, address_type, expires_at, issued_at,
  selfservice_login_flow_id, identity_id, nid)
select md5('code ' || i)::uuid, md5('code ' || i), 'a@example.com', 'email', ${expiry}, ${utc} - interval '30 days',
  md5('login ' || i)::uuid, md5('identity 1')::uuid, ${network}
from generate_series(1, 40, 2) i;
insert into public.selfservice_recovery_flows (id, request_url, expires_at, active_method, csrf_token, state,
  recovered_identity_id, created_at, updated_at, nid)
select md5('recovery ' || i)::uuid, 'https://id.example/recovery', ${expiry}, case when i % 2 = 0 then 'link' end, 'csrf',
  'sent_email', case when i % 4 = 0 then md5('identity 2')::uuid end, ${utc}, ${utc}, ${network}
from generate_series(1, 40) i;
insert into public.identity_recovery_tokens (id, token, selfservice_recovery_flow_id, created_at, updated_at, expires_at,
  issued_at, nid, identity_id, token_type)
select md5('recovery token ' || i)::uuid, md5('recovery token ' || i), md5('recovery ' || i)::uuid, ${utc}, ${utc},
  ${expiry}, ${utc} - interval '30 days', ${network}, md5('identity 2')::uuid, 2
from generate_series(1, 40, 3) i;
insert into public.continuity_containers (id, identity_id, name, payload, expires_at, created_at, updated_at, nid)
select md5('container ' || i)::uuid, case when i % 2 = 0 then md5('identity 3')::uuid end, 'settings', '{}', ${expiry},
  ${utc}, ${utc}, ${network}
from generate_series(1, 40) i;`,
  tables: {
    "public.sessions": {
      dead: `(expires_at <= ${utc} or active = false)`,
      due: `(expires_at <= ${utc} - interval '7 days' or active = false)`,
    },
    "public.selfservice_login_flows": expired,
    "public.selfservice_recovery_flows": expired,
    "public.continuity_containers": expired,
  },
};
