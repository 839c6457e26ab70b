/*
 * Mastodon 4.5/4.6 (schema version 2025_12_17_091936): Doorkeeper's tables. Each browser session has an access token of its
 * own. Times are timestamp without time zone in UTC. Its nightly vacuum deletes tokens and grants with `revoked_at < now()`;
 * Doorkeeper refuses rows whose `created_at + expires_in` has passed. Mastodon issues tokens without an expiry (expires_in
 * null: never), and no refresh tokens. Deleting a token cascades to the browser session and the push subscriptions that belong
 * to it.
 * Sources:
 *   https://github.com/mastodon/mastodon/blob/0070a2071a1d836cc6005ddb79d92ecbef998aed/db/schema.rb
 *   https://github.com/mastodon/mastodon/blob/0486db9f4ebcd2289b211dd43412d356e6bdfa39/app/lib/vacuum/access_tokens_vacuum.rb
 *   https://github.com/mastodon/mastodon/blob/0486db9f4ebcd2289b211dd43412d356e6bdfa39/app/models/session_activation.rb
 *   https://github.com/doorkeeper-gem/doorkeeper/blob/4d7c82b890604160578e35b66ed87bb9af10634d/lib/doorkeeper/models/concerns/
 *     expirable.rb
 */
import type { RealSystem } from "./system.ts";

export const mastodon: RealSystem = {
  name: "Mastodon",
  version: "4.5",
  ddl: `
create table public.users (
  id bigserial primary key,
  email character varying not null default ''
);
create table public.oauth_applications (
  id bigserial primary key,
  name character varying not null,
  uid character varying not null unique,
  secret character varying not null,
  redirect_uri text not null
);
create table public.oauth_access_grants (
  id bigserial primary key,
  token character varying not null,
  expires_in integer not null,
  redirect_uri text not null,
  created_at timestamp without time zone not null,
  revoked_at timestamp without time zone,
  scopes character varying,
  application_id bigint not null,
  resource_owner_id bigint not null,
  code_challenge character varying,
  code_challenge_method character varying,
  constraint fk_34d54b0a33 foreign key (application_id) references public.oauth_applications (id) on delete cascade,
  constraint fk_63b044929b foreign key (resource_owner_id) references public.users (id) on delete cascade
);
create index index_oauth_access_grants_on_resource_owner_id on public.oauth_access_grants (resource_owner_id);
create unique index index_oauth_access_grants_on_token on public.oauth_access_grants (token);
create table public.oauth_access_tokens (
  id bigserial primary key,
  token character varying not null,
  refresh_token character varying,
  expires_in integer,
  revoked_at timestamp without time zone,
  created_at timestamp without time zone not null,
  scopes character varying,
  application_id bigint,
  resource_owner_id bigint,
  last_used_at timestamp without time zone,
  last_used_ip inet,
  constraint fk_f5fc4c1ee3 foreign key (application_id) references public.oauth_applications (id) on delete cascade,
  constraint fk_e84df68546 foreign key (resource_owner_id) references public.users (id) on delete cascade
);
create unique index index_oauth_access_tokens_on_refresh_token on public.oauth_access_tokens
  (refresh_token text_pattern_ops) where refresh_token is not null;
create index index_oauth_access_tokens_on_resource_owner_id on public.oauth_access_tokens
  (resource_owner_id) where resource_owner_id is not null;
create unique index index_oauth_access_tokens_on_token on public.oauth_access_tokens (token);
create table public.session_activations (
  id bigserial primary key,
  session_id character varying not null,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  user_agent character varying not null default '',
  ip inet,
  access_token_id bigint,
  user_id bigint not null,
  web_push_subscription_id bigint,
  constraint fk_957e5bda89 foreign key (access_token_id) references public.oauth_access_tokens (id) on delete cascade,
  constraint fk_e5fda67334 foreign key (user_id) references public.users (id) on delete cascade
);
create index index_session_activations_on_access_token_id on public.session_activations (access_token_id);
create unique index index_session_activations_on_session_id on public.session_activations (session_id);
create index index_session_activations_on_user_id on public.session_activations (user_id);
create table public.web_push_subscriptions (
  id bigserial primary key,
  endpoint character varying not null,
  key_p256dh character varying not null,
  key_auth character varying not null,
  data json,
  created_at timestamp without time zone not null,
  updated_at timestamp without time zone not null,
  access_token_id bigint not null references public.oauth_access_tokens (id) on delete cascade,
  user_id bigint not null references public.users (id) on delete cascade,
  standard boolean not null default false
);
create index index_web_push_subscriptions_on_access_token_id on public.web_push_subscriptions
  (access_token_id) where access_token_id is not null;
create index index_web_push_subscriptions_on_user_id on public.web_push_subscriptions (user_id);
`,
  config: `targets:
  - preset: mastodon
`,
  // Tokens: 1-12 revoked long ago, 13-16 expired long ago, 17-20 revoked and 21-24 expired recently, 25-28 with an expiry to
  // come, 29-50 that never expire, of which 49 and 50 are revoked in the future.
  rows: `
insert into public.users (id, email) select n, 'user' || n || '@example.org' from generate_series(1, 5) n;
insert into public.oauth_applications (id, name, uid, secret, redirect_uri)
select n, 'app ' || n, 'uid' || n, 'secret', 'urn:ietf:wg:oauth:2.0:oob' from generate_series(1, 3) n;

insert into public.oauth_access_tokens
  (id, token, expires_in, revoked_at, created_at, scopes, application_id, resource_owner_id)
select n, 'token' || n, case when n between 13 and 16 or n between 21 and 28 then 7200 end,
  case
    when n <= 12 then (now() at time zone 'UTC') - interval '8 days' - n * interval '5 hours'
    when n between 17 and 20 then (now() at time zone 'UTC') - interval '6 days 22 hours' - n * interval '1 minute'
    when n >= 49 then (now() at time zone 'UTC') + n * interval '1 hour'
  end,
  (now() at time zone 'UTC') - case
    when n between 13 and 16 then interval '9 days' + n * interval '5 hours'
    when n between 21 and 24 then interval '7 days' + n * interval '1 minute'
    when n between 25 and 28 then n * interval '1 minute'
    else interval '100 days' + n * interval '5 hours'
  end,
  'read write follow', case when n % 10 = 0 then null else 1 + n % 3 end, case when n % 10 = 0 then null else 1 + n % 5 end
from generate_series(1, 50) n;

insert into public.session_activations (session_id, created_at, updated_at, access_token_id, user_id)
select 'session' || n, now() at time zone 'UTC', now() at time zone 'UTC', case when n <= 36 then n end, 1 + n % 5
from generate_series(1, 40) n;
insert into public.web_push_subscriptions
  (endpoint, key_p256dh, key_auth, created_at, updated_at, access_token_id, user_id)
select 'https://push.example.org/' || n, 'k', 'a', now() at time zone 'UTC', now() at time zone 'UTC', n, 1 + n % 5
from generate_series(1, 40) n;

insert into public.oauth_access_grants
  (token, expires_in, redirect_uri, created_at, revoked_at, scopes, application_id, resource_owner_id)
select 'code' || n, case when n <= 26 then 600 else 86400 end, 'https://example.org', g.created_at,
  case when n between 8 and 14 or n between 21 and 26 then g.created_at + interval '10 seconds' end,
  'read', 1 + n % 3, 1 + n % 5
from generate_series(1, 40) n,
  lateral (
    select (now() at time zone 'UTC') - case
      when n <= 14 then interval '8 days' + n * interval '5 hours'
      when n <= 26 then interval '6 days 22 hours' + n * interval '1 minute'
      else n * interval '1 minute'
    end as created_at
  ) g;
`,
  tables: {
    "public.oauth_access_tokens": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC')`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days'`,
    },
    "public.oauth_access_grants": {
      dead: `revoked_at <= (now() at time zone 'UTC')
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC')`,
      due: `revoked_at < (now() at time zone 'UTC') - interval '7 days'
        or created_at + expires_in * interval '1 second' < (now() at time zone 'UTC') - interval '7 days'`,
    },
  },
};
