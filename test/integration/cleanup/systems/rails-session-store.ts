/*
 * activerecord-session_store 2 (Rails, also with Devise): sessions has no time of expiry. `rake db:sessions:trim` deletes rows
 * with `updated_at < 30 days ago` (SESSION_DAYS_TRIM_THRESHOLD). Times are timestamp(6) without time zone in UTC. No sentinel.
 * The retention is 0s: these rows are deleted as soon as trim would delete them.
 * Sources:
 *   https://github.com/rails/activerecord-session_store/blob/82f54081e926d5f9bd34e842bacae7ab8286602b/lib/generators/
 *     active_record/templates/migration.rb
 *   https://github.com/rails/activerecord-session_store/blob/03e763be44fed2dcda5c0ca01ea1a0265be9b13e/lib/tasks/database.rake
 */
import type { RealSystem } from "./system.ts";

export const railsSessionStore: RealSystem = {
  name: "activerecord-session_store",
  version: "2",
  ddl: `
create table public.sessions (
  id bigserial primary key,
  session_id character varying not null,
  data text,
  created_at timestamp(6) without time zone not null,
  updated_at timestamp(6) without time zone not null
);
create unique index index_sessions_on_session_id on public.sessions (session_id);
create index index_sessions_on_updated_at on public.sessions (updated_at);
`,
  config: `targets:
  - preset: rails-session-store
`,
  rows: `
insert into public.sessions (session_id, data, created_at, updated_at)
select '2::' || md5('session' || n), case when n % 6 = 0 then null else 'data' end,
  (now() at time zone 'UTC') - interval '200 days',
  (now() at time zone 'UTC') - case
    when n <= 14 then interval '38 days' + n * interval '5 hours'
    when n <= 18 then interval '30 days 1 hour' + n * interval '1 minute'
    else n * interval '17 hours'
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.sessions": {
      dead: `updated_at < (now() at time zone 'UTC') - interval '30 days'`,
      due: `updated_at < (now() at time zone 'UTC') - interval '30 days'`,
    },
  },
};
