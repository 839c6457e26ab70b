-- Up Migration

-- Group roles with least privilege. Logins are made by whoever runs the database and are granted one of these; each
-- program does SET ROLE to its own. Roles belong to the whole server, so another database may have made them already,
-- and two migrations of two databases may race.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['apitoken_controller', 'apitoken_cleanup', 'apitoken_verifier'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

create schema if not exists apitoken;
grant usage on schema apitoken to apitoken_controller, apitoken_cleanup, apitoken_verifier;

-- What the programs compare themselves with: `version` is this schema's, and a program works with it when the version
-- that it knows is at least `compatible_from`.
create table apitoken.schema_version (
  only_row boolean primary key default true check (only_row),
  version integer not null,
  compatible_from integer not null
);
insert into apitoken.schema_version (version, compatible_from) values (1, 1);
grant select on apitoken.schema_version to apitoken_controller, apitoken_cleanup, apitoken_verifier;

-- One row is one issued credential. Live: now() < expires_at and (revoked_at is null or now() < revoked_at).
create table apitoken.tokens (
  id text primary key check (id ~ '^[0-9A-Za-z]{12}$'),
  cluster_id uuid not null,
  namespace text not null,
  name text not null,
  resource_uid uuid not null,
  revision integer not null check (revision > 0),
  owner text not null check (owner <> ''),
  description text not null default '',
  scopes text[] not null default '{}',
  hash bytea not null unique,
  hash_algorithm text not null check (hash_algorithm in ('hmac-sha256', 'bcrypt')),
  key_id text not null,
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revocation_reason text,
  last_used_at timestamptz,
  last_used_address inet,
  unique (resource_uid, revision),
  check (expires_at > issued_at)
) with (fillfactor = 90); -- room on the page lets last_used_at change without touching an index

create index tokens_resource on apitoken.tokens (cluster_id, namespace, name);
create index tokens_owner on apitoken.tokens (owner);
create index tokens_expires_at on apitoken.tokens (expires_at);
create index tokens_revoked_at on apitoken.tokens (revoked_at) where revoked_at is not null;

-- The audit trail. Partitions are months in UTC.
create sequence apitoken.security_events_id;
create table apitoken.security_events (
  id bigint not null default nextval('apitoken.security_events_id'),
  occurred_at timestamptz not null default now(),
  event text not null,
  reason text,
  actor text not null,
  database_user text not null default session_user,
  address inet default inet_client_addr(),
  cluster_id uuid,
  namespace text,
  name text,
  resource_uid uuid,
  token_id text,
  revision integer,
  owner text,
  detail jsonb,
  primary key (id, occurred_at)
) partition by range (occurred_at);
create index security_events_token on apitoken.security_events (token_id);
create index security_events_owner on apitoken.security_events (owner, occurred_at);

create table apitoken.cleanup_runs (
  id bigint generated always as identity primary key,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text check (outcome in ('succeeded', 'failed', 'refused', 'stopped')),
  deleted bigint not null default 0,
  targets jsonb not null default '[]',
  error text
);
create index cleanup_runs_started_at on apitoken.cleanup_runs (started_at);

create table apitoken.blocked_owners (
  cluster_id uuid not null,
  owner text not null,
  reason text not null default '',
  effective_at timestamptz not null default now(),
  primary key (owner, cluster_id)
);

-- Raised on every acquisition of a cluster's Lease and checked in every write, so that a leader that was stopped and
-- has come back cannot write.
create table apitoken.leader_epoch (
  cluster_id uuid primary key,
  epoch bigint not null,
  holder text not null,
  acquired_at timestamptz not null default now()
);

-- Who acts: the program says so in the session setting apitoken.actor; a person in psql is their login.
create function apitoken.current_actor() returns text
language sql stable set search_path = pg_catalog, pg_temp
return coalesce(nullif(current_setting('apitoken.actor', true), ''), session_user::text);

-- Every change of a token leaves its trace in the transaction that makes it, whoever makes it. SECURITY DEFINER: no
-- role needs (or has) the right to write the trail of tokens by hand.
create function apitoken.record_token_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  subject apitoken.tokens := case when tg_op = 'DELETE' then old else new end;
  was_live boolean := tg_op <> 'INSERT' and old.expires_at > now() and (old.revoked_at is null or old.revoked_at > now());
  kind text;
  details jsonb;
begin
  if tg_op = 'INSERT' then
    kind := 'TokenIssued';
    details := jsonb_build_object('expiresAt', new.expires_at, 'scopes', new.scopes);
  elsif tg_op = 'DELETE' then
    kind := 'TokenDeleted';
  elsif new.id is distinct from old.id then
    kind := 'TokenReplaced';
    details := jsonb_build_object('replacedTokenId', old.id, 'expiresAt', new.expires_at);
  elsif new.revoked_at is distinct from old.revoked_at then
    kind := 'TokenRevoked';
    details := jsonb_build_object('revokedAt', new.revoked_at, 'before', old.revoked_at);
  else
    kind := 'TokenChanged';
    details := jsonb_build_object(
      'expiresAt', new.expires_at, 'expiresAtBefore', old.expires_at, 'scopes', new.scopes, 'scopesBefore', old.scopes,
      'owner', new.owner, 'ownerBefore', old.owner);
  end if;

  insert into apitoken.security_events
    (event, reason, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, detail)
  values
    (kind, subject.revocation_reason, apitoken.current_actor(), subject.cluster_id, subject.namespace, subject.name,
     subject.resource_uid, subject.id, subject.revision, subject.owner, details);

  -- NOTIFY takes a lock of the whole server at commit: only live rows are worth it.
  if was_live then
    perform pg_notify('apitoken_changed', jsonb_build_object(
      'tokenId', old.id, 'clusterId', old.cluster_id, 'namespace', old.namespace, 'name', old.name)::text);
  end if;
  return null;
end $$;

create trigger record_issue after insert on apitoken.tokens
for each row execute function apitoken.record_token_change();

create trigger record_change after update on apitoken.tokens
for each row when (
  (old.id, old.owner, old.hash, old.scopes, old.expires_at, old.revoked_at)
  is distinct from (new.id, new.owner, new.hash, new.scopes, new.expires_at, new.revoked_at)
) execute function apitoken.record_token_change();

-- Dead rows go in bulk; the cleanup writes their audit rows itself, set by set.
create trigger record_delete after delete on apitoken.tokens
for each row when (old.expires_at > now() and (old.revoked_at is null or old.revoked_at > now()))
execute function apitoken.record_token_change();

-- Makes the audit trail's partitions from this month to `months_ahead` months from now; returns those it made.
-- CREATE and then ATTACH, because CREATE … PARTITION OF would lock out every writer of the trail.
create function apitoken.create_event_partitions(months_ahead integer) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  this_month timestamp := date_trunc('month', now() at time zone 'UTC');
  lower_bound timestamp;
  partition_name text;
begin
  if months_ahead not between 0 and 120 then
    raise exception 'months_ahead is %, but must be from 0 to 120', months_ahead using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('apitoken.create_event_partitions', 0));
  for month in 0..months_ahead loop
    lower_bound := this_month + make_interval(months => month);
    partition_name := 'security_events_' || to_char(lower_bound, 'YYYY_MM');
    continue when to_regclass('apitoken.' || partition_name) is not null;
    execute format('create table apitoken.%I (like apitoken.security_events including defaults)', partition_name);
    execute format('alter table apitoken.security_events attach partition apitoken.%I for values from (%L) to (%L)',
      partition_name, lower_bound::text || '+00', (lower_bound + interval '1 month')::text || '+00');
    return next partition_name;
  end loop;
end $$;

-- The audit trail's partitions that end before now() - retention.
create function apitoken.expired_event_partitions(retention interval) returns setof text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select c.relname::text
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'apitoken.security_events'::regclass
    and c.relname ~ '^security_events_[0-9]{4}_[0-9]{2}$'
    and (to_date(right(c.relname, 7), 'YYYY_MM')::timestamp + interval '1 month') at time zone 'UTC' <= now() - retention
  order by 1;
end;

-- Drops them, whole; returns those it dropped.
create function apitoken.drop_event_partitions(retention interval) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  partition_name text;
begin
  if retention < interval '1 month' then
    raise exception 'the retention of the audit trail is %, but must be at least a month', retention using errcode = '22023';
  end if;
  for partition_name in select apitoken.expired_event_partitions(retention) loop
    execute format('drop table apitoken.%I', partition_name);
    return next partition_name;
  end loop;
end $$;

revoke execute on all functions in schema apitoken from public;
grant execute on function apitoken.current_actor() to apitoken_controller, apitoken_cleanup, apitoken_verifier;
grant execute on function apitoken.create_event_partitions(integer) to apitoken_controller, apitoken_cleanup;
grant execute on function apitoken.expired_event_partitions(interval) to apitoken_controller, apitoken_cleanup;
grant execute on function apitoken.drop_event_partitions(interval) to apitoken_cleanup;

select apitoken.create_event_partitions(3);

grant select, insert, update on apitoken.tokens to apitoken_controller;
grant select, insert, update, delete on apitoken.blocked_owners to apitoken_controller;
grant select, insert, update on apitoken.leader_epoch to apitoken_controller;
grant select on apitoken.security_events, apitoken.cleanup_runs to apitoken_controller;

-- FOR UPDATE SKIP LOCKED asks for UPDATE on a column at least; the policy below refuses the update itself.
grant select, delete, update (last_used_at) on apitoken.tokens to apitoken_cleanup;
grant select, insert on apitoken.security_events to apitoken_cleanup;
grant usage on sequence apitoken.security_events_id to apitoken_cleanup;
grant select, insert, update on apitoken.cleanup_runs to apitoken_cleanup;

-- VACUUM after a run that deleted much; before Postgres 17 only the owner may.
do $$
begin
  if current_setting('server_version_num')::integer >= 170000 then
    execute 'grant maintain on apitoken.tokens to apitoken_cleanup';
  end if;
end $$;

grant select, update (last_used_at, last_used_address) on apitoken.tokens to apitoken_verifier;
grant select on apitoken.blocked_owners to apitoken_verifier;

-- Even a fault in the cleanup cannot kill a live token: for its role, live rows can be neither locked nor deleted.
alter table apitoken.tokens enable row level security;
create policy controller on apitoken.tokens to apitoken_controller using (true) with check (true);
create policy verifier_read on apitoken.tokens for select to apitoken_verifier using (true);
create policy verifier_use on apitoken.tokens for update to apitoken_verifier using (true) with check (true);
create policy cleanup_read on apitoken.tokens for select to apitoken_cleanup using (true);
create policy cleanup_lock on apitoken.tokens for update to apitoken_cleanup
  using (expires_at <= now() or revoked_at <= now()) with check (false);
create policy cleanup_delete on apitoken.tokens for delete to apitoken_cleanup
  using (expires_at <= now() or revoked_at <= now());

-- Down Migration

drop schema apitoken cascade;
