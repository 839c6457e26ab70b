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
  resource_created_at timestamptz not null default now(), -- of an owner's ApiTokens the newest come first
  revision integer not null check (revision > 0),
  owner text not null check (owner <> ''),
  description text not null default '',
  scopes text[] not null default '{}',
  allowed_cidrs text[] not null default '{}',
  metadata bytea, -- AES-256-GCM: nonce, ciphertext, tag; the id is authenticated with it
  metadata_key_id text,
  grace_seconds integer check (grace_seconds > 0),
  grace_scopes text[] not null default '{}',
  hash bytea not null unique,
  hash_algorithm text not null check (hash_algorithm in ('hmac-sha256', 'bcrypt')),
  key_id text not null,
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revocation_reason text,
  active_since timestamptz not null default now(), -- inactivity counts from here, across rotations
  last_used_at timestamptz,
  last_used_address inet,
  unique (resource_uid, revision),
  check ((metadata is null) = (metadata_key_id is null)),
  check (expires_at > issued_at)
) with (fillfactor = 90); -- room on the page lets last_used_at change without touching an index

create index tokens_resource on apitoken.tokens (cluster_id, namespace, name);
create index tokens_owner on apitoken.tokens (owner, resource_created_at);
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

-- The OwnerBlocks of every cluster: a block holds in all that share the database.
create table apitoken.blocked_owners (
  cluster_id uuid not null,
  name text not null,
  owner text not null,
  reason text not null default '',
  effective_at timestamptz not null,
  tokens_revoked bigint not null default 0,
  erased_at timestamptz,
  primary key (cluster_id, name)
);
create index blocked_owners_owner on apitoken.blocked_owners (owner);

-- Raised on every acquisition of a cluster's Lease and checked in every write, so that a leader that was stopped and
-- has come back cannot write.
create table apitoken.leader_epoch (
  cluster_id uuid primary key,
  epoch bigint not null,
  holder text not null,
  acquired_at timestamptz not null default now()
);

-- Of each key that a cluster's rows were made with an HMAC of a constant: it tells a key from another that goes by its id.
create table apitoken.keys (
  cluster_id uuid not null,
  kind text not null check (kind in ('pepper', 'encryption')),
  id text not null,
  check_value bytea not null,
  first_seen_at timestamptz not null default now(),
  primary key (cluster_id, kind, id)
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
      'allowedCIDRs', new.allowed_cidrs, 'allowedCIDRsBefore', old.allowed_cidrs,
      'owner', new.owner, 'ownerBefore', old.owner,
      -- Never the metadata itself: what changes with every encryption is its ciphertext.
      'metadataWritten', new.metadata is distinct from old.metadata,
      'metadataKeyId', new.metadata_key_id, 'metadataKeyIdBefore', old.metadata_key_id);
  end if;

  insert into apitoken.security_events
    (event, reason, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, detail)
  values
    (kind, subject.revocation_reason, apitoken.current_actor(), subject.cluster_id, subject.namespace, subject.name,
     subject.resource_uid, subject.id, subject.revision, subject.owner, details);

  -- NOTIFY takes a lock of the whole server at commit: only live rows are worth it.
  if was_live then
    perform pg_notify('apitoken_changed', jsonb_build_object(
      'tokenId', old.id, 'clusterId', old.cluster_id, 'namespace', old.namespace, 'name', old.name,
      'owner', old.owner)::text);
  end if;
  return null;
end $$;

create trigger record_issue after insert on apitoken.tokens
for each row execute function apitoken.record_token_change();

create trigger record_change after update on apitoken.tokens
for each row when ( -- all but the use of a token
  (old.id, old.cluster_id, old.namespace, old.name, old.resource_uid, old.resource_created_at, old.revision, old.owner,
   old.description, old.scopes, old.allowed_cidrs, old.metadata, old.metadata_key_id, old.grace_seconds, old.grace_scopes, old.hash, old.hash_algorithm,
   old.key_id, old.issued_at, old.expires_at, old.revoked_at)
  is distinct from
  (new.id, new.cluster_id, new.namespace, new.name, new.resource_uid, new.resource_created_at, new.revision, new.owner,
   new.description, new.scopes, new.allowed_cidrs, new.metadata, new.metadata_key_id, new.grace_seconds, new.grace_scopes, new.hash, new.hash_algorithm,
   new.key_id, new.issued_at, new.expires_at, new.revoked_at)
) execute function apitoken.record_token_change();

create function apitoken.record_truncation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into apitoken.security_events (event, actor) values ('TokensTruncated', apitoken.current_actor());
  perform pg_notify('apitoken_changed', 'everything');
  return null;
end $$;

create trigger record_truncation after truncate on apitoken.tokens
for each statement execute function apitoken.record_truncation();

-- Dead rows go in bulk; the cleanup writes their audit rows itself, set by set.
create trigger record_delete after delete on apitoken.tokens
for each row when (old.expires_at > now() and (old.revoked_at is null or old.revoked_at > now()))
execute function apitoken.record_token_change();

-- Starts a new epoch of a cluster's leadership, once the writes of the old one that are under way have ended. Advisory
-- locks queue in order: unlike a row's, a stream of writers cannot keep the next leader waiting. No epoch comes twice,
-- even when a backup has brought an old one back: it is at least the time in milliseconds.
create function apitoken.raise_epoch(cluster uuid, new_holder text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  raised bigint := extract(epoch from clock_timestamp()) * 1000;
begin
  perform pg_advisory_xact_lock(hashtextextended('apitoken.leader ' || cluster, 0));
  insert into apitoken.leader_epoch as current (cluster_id, epoch, holder) values (cluster, raised, new_holder)
  on conflict (cluster_id) do update
  set epoch = greatest(current.epoch + 1, excluded.epoch), holder = new_holder, acquired_at = clock_timestamp()
  returning current.epoch into raised;
  return raised;
end $$;

-- Whether this epoch is still the newest; then it stays so until the transaction ends. Two statements, so that the
-- second sees what was committed while the first waited.
create function apitoken.is_leader(cluster uuid, epoch_held bigint) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('apitoken.leader ' || cluster, 0));
  return exists (select from apitoken.leader_epoch e where e.cluster_id = cluster and e.epoch = epoch_held);
end $$;

-- Whoever counts, issues or blocks an owner's tokens does so alone. A function of its own, called first: each statement
-- after it sees what the one before has committed. clock_timestamp(), because now() is from before the wait.
create function apitoken.lock_owner(locked_owner text) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  select pg_advisory_xact_lock(hashtextextended('apitoken.owner ' || locked_owner, 0));
end;

-- Issues a token (a row of apitoken.tokens as JSON), unless its owner is blocked or has as many live ApiTokens as
-- allowed. Returns 'issued', 'fenced', 'blocked' or 'over_limit'; only after 'issued' something was written. A token
-- whose end is set already (a previous one in its overlap) does not count.
create function apitoken.issue_token(
  epoch_held bigint, row_to_issue jsonb, owner_max integer, on_limit text, limit_scope text
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  token apitoken.tokens := jsonb_populate_record(null::apitoken.tokens, row_to_issue);
  older uuid[];
  newer uuid[];
  has_one boolean;
begin
  if not apitoken.is_leader(token.cluster_id, epoch_held) then
    return 'fenced';
  end if;
  perform apitoken.lock_owner(token.owner);
  if exists (select from apitoken.blocked_owners b where b.owner = token.owner and b.effective_at <= clock_timestamp()) then
    return 'blocked';
  end if;

  with rivals as (
    select distinct t.resource_uid, t.resource_created_at from apitoken.tokens t
    where t.owner = token.owner and (limit_scope = 'Database' or t.cluster_id = token.cluster_id)
      and t.expires_at > clock_timestamp() and t.revoked_at is null
  )
  select
    array_agg(r.resource_uid order by r.resource_created_at, r.resource_uid) filter (
      where (r.resource_created_at, r.resource_uid) < (token.resource_created_at, token.resource_uid)),
    array_agg(r.resource_uid) filter (
      where (r.resource_created_at, r.resource_uid) > (token.resource_created_at, token.resource_uid)),
    coalesce(bool_or(r.resource_uid = token.resource_uid), false)
  into older, newer, has_one from rivals r;

  if on_limit = 'Reject' then
    if coalesce(cardinality(older), 0) + (case when has_one then 0 else coalesce(cardinality(newer), 0) end) >= owner_max then
      return 'over_limit';
    end if;
  elsif coalesce(cardinality(newer), 0) >= owner_max then
    return 'over_limit';
  else
    update apitoken.tokens t set revoked_at = clock_timestamp(), revocation_reason = 'Superseded'
    where t.resource_uid = any (older[:cardinality(older) + coalesce(cardinality(newer), 0) + 1 - owner_max])
      and t.expires_at > clock_timestamp() and (t.revoked_at is null or t.revoked_at > clock_timestamp());
  end if;
  insert into apitoken.tokens select token.*;
  return 'issued';
end $$;

-- Records an OwnerBlock and, once it is in effect, ends every live token of the owner, in all clusters. Returns the
-- number of tokens that it has ended so far; null when another leader has taken over, and nothing was written.
create function apitoken.block_owner(
  epoch_held bigint, cluster uuid, block_name text, blocked_owner text, block_reason text, effective timestamptz
) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended bigint := 0;
  total bigint;
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return null;
  end if;
  perform apitoken.lock_owner(blocked_owner);
  insert into apitoken.blocked_owners as b (cluster_id, name, owner, reason, effective_at)
  values (cluster, block_name, blocked_owner, block_reason, effective)
  on conflict (cluster_id, name) do update set owner = blocked_owner, reason = block_reason, effective_at = effective
  where (b.owner, b.reason, b.effective_at) is distinct from (blocked_owner, block_reason, effective);
  if effective <= clock_timestamp() then
    update apitoken.tokens t set revoked_at = clock_timestamp(), revocation_reason = 'OwnerBlocked'
    where t.owner = blocked_owner and t.expires_at > clock_timestamp()
      and (t.revoked_at is null or t.revoked_at > clock_timestamp());
    get diagnostics ended = row_count;
  end if;
  if ended > 0 then
    update apitoken.blocked_owners b set tokens_revoked = b.tokens_revoked + ended
    where b.cluster_id = cluster and b.name = block_name;
  end if;
  select b.tokens_revoked into total from apitoken.blocked_owners b where b.cluster_id = cluster and b.name = block_name;
  return total;
end $$;

-- Erases a blocked owner: the token rows go at once, and in the audit trail a pseudonym takes the place of the name.
-- SECURITY DEFINER: no role may change the trail, but for this.
create function apitoken.erase_owner(epoch_held bigint, cluster uuid, block_name text, pseudonym text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  erased text;
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return false;
  end if;
  select b.owner into erased from apitoken.blocked_owners b
  where b.cluster_id = cluster and b.name = block_name and b.effective_at <= clock_timestamp();
  if erased is null then
    raise exception 'there is no effective block of that name' using errcode = '55000';
  end if;
  perform apitoken.lock_owner(erased);
  delete from apitoken.tokens t where t.owner = erased;
  update apitoken.security_events e set
    owner = pseudonym,
    detail = case when e.detail ? 'owner' then e.detail - 'owner' - 'ownerBefore' else e.detail end
  where e.owner = erased;
  insert into apitoken.security_events (event, reason, actor, cluster_id, name, owner)
  values ('OwnerErased', 'OwnerBlocked', apitoken.current_actor(), cluster, block_name, pseudonym);
  update apitoken.blocked_owners b set erased_at = clock_timestamp()
  where b.cluster_id = cluster and b.name = block_name;
  return true;
end $$;

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
grant execute on function
  apitoken.raise_epoch(uuid, text),
  apitoken.is_leader(uuid, bigint),
  apitoken.lock_owner(text),
  apitoken.issue_token(bigint, jsonb, integer, text, text),
  apitoken.block_owner(bigint, uuid, text, text, text, timestamptz),
  apitoken.erase_owner(bigint, uuid, text, text)
to apitoken_controller;
grant execute on function apitoken.create_event_partitions(integer) to apitoken_controller, apitoken_cleanup;
grant execute on function apitoken.expired_event_partitions(interval) to apitoken_controller, apitoken_cleanup;
grant execute on function apitoken.drop_event_partitions(interval) to apitoken_cleanup;

select apitoken.create_event_partitions(3);

grant select, insert, update on apitoken.tokens to apitoken_controller;
grant select, insert, update, delete on apitoken.blocked_owners to apitoken_controller;
grant select, insert on apitoken.keys to apitoken_controller;
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
