/*
 * Spring Authorization Server 1.x: one row per authorization with the code and all its tokens.
 *
 * Each token has its own ..._expires_at (timestamp without time zone, written with JDBC's Timestamp.from: in the time zone of
 * the application's JVM; UTC here). There is no clean-up job. A row is of no use once its longest-lived token has
 * expired: the refresh token where there is one, otherwise the access token, the device code or the authorization code.
 * A row that waits for consent has a state and no token: no time at all. A revoked token is marked only within the
 * serialised ..._metadata, and a refresh token without expiry has null here while its access token has a time.
 *
 * Sources: https://github.com/spring-projects/spring-authorization-server/blob/0656fde051bd3f07b712c3fe57b7412004df158e/
 *            oauth2-authorization-server/src/main/resources/org/springframework/security/oauth2/server/authorization/
 *            oauth2-authorization-schema.sql ("blob" becomes "text" on PostgreSQL, as its own comment says)
 *          the user_code and device_code columns (1.1+) after copies of the newer schema in several applications
 */
import type { RealSystem } from "./system.ts";

const utc = "(now() at time zone 'utc')";

const tokenColumns = (name: string): string => `
  ${name}_value text default null,
  ${name}_issued_at timestamp default null,
  ${name}_expires_at timestamp default null,
  ${name}_metadata text default null,`;

const longest = `greatest(refresh_token_expires_at, access_token_expires_at, device_code_expires_at,
  user_code_expires_at, authorization_code_expires_at)`;

export const springAuthorizationServer: RealSystem = {
  name: "Spring Authorization Server",
  version: "1.3",
  ddl: `
create table oauth2_authorization (
  id varchar(100) not null,
  registered_client_id varchar(100) not null,
  principal_name varchar(200) not null,
  authorization_grant_type varchar(100) not null,
  authorized_scopes varchar(1000) default null,
  attributes text default null,
  state varchar(500) default null,${tokenColumns("authorization_code")}${tokenColumns("access_token")}
  access_token_type varchar(100) default null,
  access_token_scopes varchar(1000) default null,${tokenColumns("oidc_id_token")}${tokenColumns("refresh_token")}${tokenColumns(
    "user_code",
  )}${tokenColumns("device_code")}
  primary key (id)
);`,
  config: `targets:
  - preset: spring-authorization-server
`,
  rows: `
-- 1-30 authorization_code with a refresh token, 31-60 client_credentials, 61-80 only a code, 81-100 device codes
insert into oauth2_authorization (id, registered_client_id, principal_name, authorization_grant_type, authorized_scopes,
  attributes, authorization_code_value, authorization_code_issued_at, authorization_code_expires_at, access_token_value,
  access_token_issued_at, access_token_expires_at, access_token_type, access_token_scopes, refresh_token_value,
  refresh_token_issued_at, refresh_token_expires_at, user_code_value, user_code_issued_at, user_code_expires_at,
  device_code_value, device_code_issued_at, device_code_expires_at)
select md5('authorization ' || i)::uuid::text, 'client-' || i % 3, 'user-' || i % 7,
  case when i <= 30 or i between 61 and 80 then 'authorization_code' when i <= 60 then 'client_credentials'
    else 'urn:ietf:params:oauth:grant-type:device_code' end,
  'openid', '{}',
  case when i <= 30 or i between 61 and 80 then md5('code ' || i) end,
  case when i <= 30 or i between 61 and 80 then ends - interval '65 minutes' end,
  case when i <= 30 then ends - interval '60 minutes' when i between 61 and 80 then ends end,
  case when i <= 60 then md5('access ' || i) end,
  case when i <= 60 then ends - interval '60 minutes' end,
  case when i <= 30 then ends - interval '55 minutes' when i <= 60 then ends end,
  case when i <= 60 then 'Bearer' end, case when i <= 60 then 'openid' end,
  case when i <= 30 then md5('refresh ' || i) end,
  case when i <= 30 then ends - interval '60 minutes' end, case when i <= 30 then ends end,
  case when i > 80 then md5('user code ' || i) end, case when i > 80 then ends - interval '5 minutes' end,
  case when i > 80 then ends end,
  case when i > 80 then md5('device code ' || i) end, case when i > 80 then ends - interval '5 minutes' end,
  case when i > 80 then ends end
from (
  select i, ${utc} + case
    when i % 10 in (1, 4, 7) then -(interval '7 days 1 hour' + i * interval '90 minutes')
    when i % 10 = 2 then -(interval '6 days 22 hours' + i * interval '1 minute')
    else interval '2 hours' + i * interval '1 minute' end as ends
  from generate_series(1, 100) i
) as drawn;
-- waiting for consent: nothing but a state
insert into oauth2_authorization (id, registered_client_id, principal_name, authorization_grant_type, attributes, state)
select md5('waiting ' || i)::uuid::text, 'client-1', 'user-' || i, 'authorization_code', '{}', md5('state ' || i)
from generate_series(1, 6) i;
-- a refresh token that never expires, beside an access token of long ago
insert into oauth2_authorization (id, registered_client_id, principal_name, authorization_grant_type, attributes,
  access_token_value, access_token_issued_at, access_token_expires_at, refresh_token_value, refresh_token_issued_at)
select md5('forever ' || i)::uuid::text, 'client-2', 'user-' || i, 'authorization_code', '{}', md5('old access ' || i),
  ${utc} - interval '30 days', ${utc} - interval '29 days' - i * interval '1 hour', md5('old refresh ' || i),
  ${utc} - interval '30 days'
from generate_series(1, 6) i;`,
  tables: {
    "public.oauth2_authorization": {
      dead: `(${longest} < ${utc} and (refresh_token_value is null or refresh_token_expires_at is not null))`,
      due: `(${longest} < ${utc} - interval '7 days'
        and (refresh_token_value is null or refresh_token_expires_at is not null))`,
    },
  },
};
