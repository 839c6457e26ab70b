/*
 * Airflow 2 (web server with session_backend = database): Flask-Session's table. `expiry` is timestamp without time zone,
 * written and compared as UTC (utcnow); the column is nullable. A session is dead when `expiry <=
 * utcnow()`, and deleted only if somebody comes back with it.
 * Sources:
 *   https://github.com/apache/airflow (airflow/migrations/versions/0095_2_2_4_add_session_table_to_db.py)
 *   Flask-Session 0.3 to 0.5, SqlAlchemySessionInterface.open_session: https://github.com/pallets-eco/flask-session
 */
import type { RealSystem } from "./system.ts";

export const airflow: RealSystem = {
  name: "Airflow",
  version: "2",
  ddl: `
create table public.session (
  id serial not null,
  session_id varchar(255),
  data bytea,
  expiry timestamp without time zone,
  primary key (id),
  unique (session_id)
);
`,
  config: `targets:
  - preset: airflow
`,
  rows: `
insert into public.session (session_id, data, expiry)
select case when n = 40 then null else md5('session' || n) end, case when n % 9 = 0 then null else ''::bytea end,
  case
    when n <= 14 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n <= 20 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    when n <= 24 then null
    else (now() at time zone 'UTC') + n * interval '7 hours'
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.session": {
      dead: `expiry <= (now() at time zone 'UTC')`,
      due: `expiry < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
