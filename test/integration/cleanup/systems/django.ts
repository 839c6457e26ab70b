/*
 * Django 4/5 (database session backend): one row a session, deleted only by `manage.py clearsessions`. A session counts while
 * `expire_date > now`; clearsessions deletes `expire_date < now`. The column is timestamptz (USE_TZ or not). There is no
 * sentinel: every session has an expiry, by default two weeks after the last change.
 * Sources:
 *   https://github.com/django/django/blob/0aac791b10d679b535ed11f9705080298066f553/django/contrib/sessions/migrations/
 *     0001_initial.py
 *   https://github.com/django/django/blob/03c23fcbea8f16e91031da5de2bf1baa9d490dc8/django/contrib/sessions/backends/db.py
 */
import type { RealSystem } from "./system.ts";

export const django: RealSystem = {
  name: "Django",
  version: "4/5",
  ddl: `
create table public.django_session (
  session_key varchar(40) not null primary key,
  session_data text not null,
  expire_date timestamp with time zone not null
);
create index django_session_session_key_c0390e0f_like on public.django_session (session_key varchar_pattern_ops);
create index django_session_expire_date_a5c62663 on public.django_session (expire_date);
`,
  config: `targets:
  - preset: django-sessions
`,
  rows: `
insert into public.django_session (session_key, session_data, expire_date)
select 'key' || lpad(n::text, 29, '0'), 'data',
  case
    when n <= 12 then now() - interval '8 days' - n * interval '5 hours'
    when n <= 18 then now() - interval '6 days 22 hours' - n * interval '1 minute'
    else now() + n * interval '7 hours'
  end
from generate_series(1, 40) n;
`,
  tables: {
    "public.django_session": {
      dead: `expire_date < now()`,
      due: `expire_date < now() - interval '7 days'`,
    },
  },
};
