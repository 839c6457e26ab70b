/*
 * Keycloak 26.0: persistent user sessions, their client sessions and the list of revoked tokens.
 *
 * offline_user_session holds both kinds of sessions: offline_flag '1' = offline, '0' = online (persistent since 25).
 * A session is dead when last_session_refresh (epoch seconds, 32 bits) is older than the realm's idle time: offline
 * 2592000 s, online 1800 s by default (loading: lastSessionRefresh >= now - idle; the clean-up job adds 180 s of slack).
 * A client session goes with its user session (no foreign key: the job joins); a refresh also refuses a client session
 * whose own timestamp + idle time has passed, and then removes it. revoked_token: expire < now, epoch seconds.
 *
 * Sources (https://github.com/keycloak/keycloak/blob/<commit>/model/jpa/src/main/...):
 *   resources/META-INF/jpa-changelog-1.6.1.xml      @11eaf0d731be389d5a1f4c07246ee588e916c42c
 *   resources/META-INF/jpa-changelog-4.0.0.xml      @049a7fa6c06fcbaaca66630b8db27154cc704149
 *   resources/META-INF/jpa-changelog-25.0.0.xml     @091ec956bb27ecbf692f0bbe4a14d570d6f44b3c
 *   resources/META-INF/jpa-changelog-26.0.0.xml     @0312c39baa1f4daaa79e66f113838c245cee6bd5
 *   resources/META-INF/queries-default.properties   @3662b079ee9564285abc07cf238283dfc1eb190d
 *   java/org/keycloak/models/jpa/session/JpaUserSessionPersisterProvider.java    @00a45a40e7ede6cc58fa9cf7a818999e5043ddef
 *   java/org/keycloak/models/jpa/session/JpaRevokedTokensPersisterProvider.java  @8fe2dd7e574c43b5bf18a4240d06a24db5370873
 * Column widths of 2.x-9.x (created_on, user_id 255, client_id 255) after dumps of running installations.
 */
import type { RealSystem } from "./system.ts";

const sessionDead = (flag: string, seconds: number): string =>
  `(offline_flag = '${flag}' and last_session_refresh < extract(epoch from now()) - ${seconds})`;

/** The user sessions that are dead since `more` seconds. */
const deadSessions = (more: number): string =>
  `(${sessionDead("1", 2592000 + more)} or ${sessionDead("0", 1800 + more)})`;

const clientSessionsOf = (sessions: string): string => `(user_session_id, offline_flag) in (
    select user_session_id, offline_flag from public.offline_user_session where ${sessions})`;

/** Forty sessions of one kind: 1-16 long dead, 17-19 dead, but not for long enough, 20-40 alive. */
const sessions = (flag: string, idle: number): string => `
insert into public.offline_user_session
  (user_session_id, user_id, realm_id, created_on, offline_flag, data, last_session_refresh, broker_session_id, version)
select md5('session ${flag} ' || i)::uuid::text, md5('user ' || i % 7)::uuid::text, md5('realm ' || i % 2)::uuid::text,
  extract(epoch from now())::int - 31536000, '${flag}', '{"ipAddress":"10.0.0.1"}',
  extract(epoch from now())::int - case
    when i <= 16 then ${idle} + 604800 + 3600 + i * 5400
    when i <= 19 then ${idle} + 597600 + i * 60
    else i * 30 end,
  case when i % 3 = 0 then 'broker-' || i end, case when i % 5 = 0 then null else 0 end
from generate_series(1, 40) i;`;

export const keycloak: RealSystem = {
  name: "Keycloak",
  version: "26.0",
  ddl: `
create table public.offline_user_session (
  user_session_id varchar(36) not null,
  user_id varchar(255) not null,
  realm_id varchar(36) not null,
  created_on integer not null,
  offline_flag varchar(4) not null,
  data text,
  last_session_refresh integer default 0 not null,
  broker_session_id varchar(1024),
  version integer default 0,
  constraint constraint_offl_us_ses_pk2 primary key (user_session_id, offline_flag)
);
create index idx_offline_uss_by_last_session_refresh
  on public.offline_user_session (realm_id, offline_flag, last_session_refresh);
create index idx_offline_uss_by_broker_session_id on public.offline_user_session (broker_session_id, realm_id);

create table public.offline_client_session (
  user_session_id varchar(36) not null,
  client_id varchar(255) not null,
  offline_flag varchar(4) not null,
  timestamp integer,
  data text,
  client_storage_provider varchar(36) default 'local' not null,
  external_client_id varchar(255) default 'local' not null,
  version integer default 0,
  constraint constraint_offl_cl_ses_pk3
    primary key (user_session_id, client_id, client_storage_provider, external_client_id, offline_flag)
);

create table public.revoked_token (
  id varchar(255) not null,
  expire bigint not null,
  constraint constraint_rt primary key (id)
);
create index idx_rev_token_on_expire on public.revoked_token (expire);`,
  config: `targets:
  - preset: keycloak
`,
  rows: `${sessions("1", 2592000)}
${sessions("0", 1800)}
insert into public.offline_client_session (user_session_id, client_id, offline_flag, timestamp, data)
select user_session_id, md5('client ' || user_id)::uuid::text, offline_flag, last_session_refresh, '{"notes":{}}'
from public.offline_user_session;
insert into public.revoked_token (id, expire)
select 'token-' || i, extract(epoch from now())::bigint + case
  when i <= 16 then -(604800 + 3600 + i * 5400)
  when i <= 19 then -(597600 + i * 60)
  else i * 600 end
from generate_series(1, 40) i;`,
  tables: {
    "public.offline_user_session": { dead: deadSessions(0), due: deadSessions(604800) },
    "public.offline_client_session": {
      dead: clientSessionsOf(deadSessions(0)),
      due: clientSessionsOf(deadSessions(604800)),
    },
    "public.revoked_token": {
      dead: "expire < extract(epoch from now())",
      due: "expire < extract(epoch from now()) - 604800",
    },
  },
};
