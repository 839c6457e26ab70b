/*
 * Spring Session JDBC 3: HTTP sessions of Spring applications and their serialised attributes.
 *
 * expiry_time is epoch milliseconds: last_access_time + max_inactive_interval (seconds). The clean-up job (each minute)
 * deletes "EXPIRY_TIME < now"; the attributes follow by ON DELETE CASCADE. A session that never times out has a negative
 * max_inactive_interval; the sources read here still write a time in the past for it, which the job then deletes;
 * newer ones are said to write Long.MAX_VALUE (not verified), which the rows below contain: far beyond any timestamp.
 *
 * Sources: https://github.com/spring-projects/spring-session/blob/773ef24f80723239e7954686e6516d2d43205006/
 *            spring-session-jdbc/src/main/resources/org/springframework/session/jdbc/schema-postgresql.sql
 *          https://github.com/spring-projects/spring-session/blob/47a4873199d9f305a2410bfa80249b76303fb13e/
 *            spring-session-jdbc/src/main/java/org/springframework/session/jdbc/JdbcIndexedSessionRepository.java
 */
import type { RealSystem } from "./system.ts";

const now = "(extract(epoch from now()) * 1000)::bigint";

export const springSession: RealSystem = {
  name: "Spring Session JDBC",
  version: "3",
  ddl: `
create table spring_session (
  primary_id char(36) not null,
  session_id char(36) not null,
  creation_time bigint not null,
  last_access_time bigint not null,
  max_inactive_interval int not null,
  expiry_time bigint not null,
  principal_name varchar(100),
  constraint spring_session_pk primary key (primary_id)
);
create unique index spring_session_ix1 on spring_session (session_id);
create index spring_session_ix2 on spring_session (expiry_time);
create index spring_session_ix3 on spring_session (principal_name);
create table spring_session_attributes (
  session_primary_id char(36) not null,
  attribute_name varchar(200) not null,
  attribute_bytes bytea not null,
  constraint spring_session_attributes_pk primary key (session_primary_id, attribute_name),
  constraint spring_session_attributes_fk foreign key (session_primary_id)
    references spring_session (primary_id) on delete cascade
);`,
  config: `targets:
  - preset: spring-session
`,
  rows: `
insert into spring_session (primary_id, session_id, creation_time, last_access_time, max_inactive_interval, expiry_time,
  principal_name)
select md5('primary ' || i)::uuid::text, md5('session ' || i)::uuid::text, ${now} - 2592000000, expiry - 1800000,
  case when i > 55 then -1 else 1800 end, case when i > 55 then 9223372036854775807 else expiry end,
  case when i % 3 > 0 then 'user-' || i % 7 end
from (
  select i, ${now} + case
    when i <= 25 then -(604800000 + 3600000 + i * 5400000::bigint)
    when i <= 29 then -(597600000 + i * 60000::bigint)
    else i * 30000::bigint end as expiry
  from generate_series(1, 60) i
) as drawn;
insert into spring_session_attributes (session_primary_id, attribute_name, attribute_bytes)
select primary_id, name, decode('aced0005', 'hex')
from spring_session, unnest(array['SPRING_SECURITY_CONTEXT', 'csrf', 'cart']) as name;`,
  tables: {
    "public.spring_session": { dead: `expiry_time < ${now}`, due: `expiry_time < ${now} - 604800000` },
  },
};
