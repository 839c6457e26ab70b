-- Up Migration

-- Group roles with least privilege. Whoever runs the database creates the logins and grants each one of these roles;
-- every program does SET ROLE to its own. Roles belong to the whole server: another database may have created them
-- already, and the migrations of two databases may race.
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

-- Every program checks this at its start: `version` is the version of this schema, and a program can work with it if the
-- version that the program knows is at least `compatible_from`. Versions 1 and 2 were never released.
create table apitoken.schema_version (
  only_row boolean primary key default true check (only_row),
  version integer not null,
  compatible_from integer not null
);
insert into apitoken.schema_version (version, compatible_from) values (3, 3);
grant select on apitoken.schema_version to apitoken_controller, apitoken_cleanup, apitoken_verifier;

-- One row is one issued credential.
-- What decides about a row comes first: the cleanup reads it of every row, and Postgres finds a column by walking over those before.
create table apitoken.tokens (
  expires_at timestamptz not null,
  revoked_at timestamptz,
  grace_seconds integer check (grace_seconds > 0),
  id text primary key check (id ~ '^[0-9A-Za-z]{12}$'),
  cluster_id uuid not null,
  namespace text not null,
  name text not null,
  resource_uid uuid not null,
  resource_created_at timestamptz not null default now(), -- ranks an owner's ApiTokens by age
  revision integer not null check (revision > 0),
  owner text not null check (owner ~ '^[!-~]{1,253}$'), -- as in src/token/owner.ts
  description text not null default '',
  scopes text[] not null default '{}',
  allowed_cidrs text[] not null default '{}',
  metadata bytea, -- AES-256-GCM: nonce, ciphertext, tag; the row's id is the associated data
  metadata_key_id text,
  grace_scopes text[] not null default '{}',
  rate_limit_requests integer check (rate_limit_requests > 0), -- so many uses at once, and as many again in rate_limit_seconds
  rate_limit_seconds integer check (rate_limit_seconds > 0),
  supersedes boolean not null default false, -- ends older ApiTokens of the owner once it is in its Secret
  hash bytea not null unique,
  hash_algorithm text not null check (hash_algorithm in ('hmac-sha256', 'bcrypt')),
  key_id text not null,
  issued_at timestamptz not null,
  revocation_reason text,
  active_since timestamptz not null default now(), -- inactivity is counted from here, across rotations
  last_used_at timestamptz,
  last_used_address inet,
  issued_xid xid8 not null default pg_current_xact_id(), -- finds what was issued since a snapshot; see find_issued
  unique (resource_uid, revision),
  check ((metadata is null) = (metadata_key_id is null)),
  check ((rate_limit_requests is null) = (rate_limit_seconds is null)),
  check (expires_at > issued_at)
) with (
  fillfactor = 90, -- free space on each page: an update of last_used_at touches no index
  autovacuum_vacuum_scale_factor = 0.05 -- the cleanup may not vacuum: whoever may, may also lock out everybody
);

create index tokens_resource on apitoken.tokens (cluster_id, namespace, name);
create index tokens_owner on apitoken.tokens (owner, resource_created_at, id);
create index tokens_expires_at on apitoken.tokens (expires_at);
create index tokens_grace on apitoken.tokens (expires_at) where grace_seconds is not null;
create index tokens_revoked_at on apitoken.tokens (revoked_at) where revoked_at is not null;
create index tokens_issued_xid on apitoken.tokens (issued_xid);

-- The ids of up to max_count tokens whose issue this statement sees and a statement with the snapshot since did not. They cost an
-- issue nothing but an entry in an index, and no commit has to wait for another, as with NOTIFY.
create function apitoken.find_issued(since pg_snapshot, max_count integer) returns setof text
language sql stable
begin atomic
  select id from (
    select t.id from apitoken.tokens t where t.issued_xid = any (array(select pg_snapshot_xip(since)))
    union all
    -- A row that was restored from another server may come from a transaction that this server has not reached yet.
    select t.id from apitoken.tokens t
    where t.issued_xid >= pg_snapshot_xmax(since) and t.issued_xid < pg_snapshot_xmax(pg_current_snapshot())
  ) as issued limit max_count;
end;

-- What a token is worth at a given time. src/token/validity.ts defines the same words, and a test compares the two:
--   live      neither expired nor revoked
--   in grace  expired, not revoked, and within the grace that the policy allows
--   accepted  live or in grace
--   current   live, and no end has been set, as a rotation would
-- Postgres inlines these functions, so that the indexes above serve them. That takes an SQL function without a SET
-- clause and a time that is not volatile: clock_timestamp() has to be assigned to a variable first.
create function apitoken.is_live(token apitoken.tokens, at timestamptz) returns boolean
language sql immutable parallel safe
return token.expires_at > at and (token.revoked_at is null or token.revoked_at > at);

-- Stable, not immutable: Postgres cannot know that an interval of seconds does not depend on the time zone. Near the end of
-- Postgres' time, where the sum could overflow (a grace is at most 2^31 seconds), the grace never ends.
create function apitoken.grace_end(token apitoken.tokens) returns timestamptz
language sql stable parallel safe
return case
  when token.grace_seconds is null then token.expires_at
  when token.expires_at < timestamptz '294000-01-01 00:00:00Z' then token.expires_at + make_interval(secs => token.grace_seconds)
  else timestamptz 'infinity'
end;

create function apitoken.accepted_until(token apitoken.tokens) returns timestamptz
language sql stable parallel safe
return least(apitoken.grace_end(token), token.revoked_at);

-- The first condition follows from the second; it is what the indexes serve.
create function apitoken.is_accepted(token apitoken.tokens, at timestamptz) returns boolean
language sql stable parallel safe
return (token.expires_at > at or token.grace_seconds is not null) and apitoken.accepted_until(token) > at;

create function apitoken.is_in_grace(token apitoken.tokens, at timestamptz) returns boolean
language sql stable parallel safe
return token.expires_at <= at and apitoken.is_accepted(token, at);

create function apitoken.is_current(token apitoken.tokens, at timestamptz) returns boolean
language sql immutable parallel safe
return token.revoked_at is null and apitoken.is_live(token, at);

-- Whether the token's ApiToken counts towards the limit of its owner: its token is accepted, and it is in a Secret or may yet
-- be. A token that is to take the place of others counts from then on.
create function apitoken.is_counted(token apitoken.tokens, at timestamptz) returns boolean
language sql stable parallel safe
return not token.supersedes and apitoken.is_accepted(token, at);

-- Verifiers note here when tokens were used, what was unusual about that, and which tokens their holders have ended; the controller
-- takes it over into apitoken.tokens and into Events. They only ever add rows. If they changed those of apitoken.tokens, they could keep a transaction open and so
-- hold up a revocation.
create table apitoken.token_uses (
  token_id text not null,
  used_at timestamptz not null,
  address inet
);
create index token_uses_token on apitoken.token_uses (token_id, used_at);

create table apitoken.anomalies (
  token_id text not null,
  kind text not null,
  address inet,
  noticed_at timestamptz not null default clock_timestamp()
);

create table apitoken.requested_ends (
  token_id text not null,
  requested_at timestamptz not null default clock_timestamp(),
  reason text not null
);
create index requested_ends_token on apitoken.requested_ends (token_id);

-- How often each token was used on each day in UTC, and how often it was refused, by reason; partitioned by month. It names neither
-- an owner nor an address: once the token's row and the owner's name in the audit trail are gone, it says nothing of anybody.
create table apitoken.token_usage (
  token_id text not null,
  day date not null,
  result text not null, -- Good, or a reason as in VerificationFailed
  uses bigint not null,
  primary key (token_id, day, result)
) partition by range (day);

-- The audit trail, partitioned by month in UTC. The cleanup records what it deletes batch by batch: one event for each
-- reason, with the keys of all its rows in row_keys, because one event for each deleted row would cost more than the
-- deletion itself. row_keys is stored EXTERNAL because keys do not compress.
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
  row_keys text[],
  primary key (id, occurred_at)
) partition by range (occurred_at);
alter table apitoken.security_events alter column row_keys set storage external;
create index security_events_token on apitoken.security_events (token_id);
create index security_events_owner on apitoken.security_events (owner, occurred_at);
create index security_events_cleaned on apitoken.security_events (occurred_at)
  where event in ('TokensCleaned', 'RowsCleaned', 'PartitionDropped');

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
-- The controller reads the newest run of each outcome.
create index cleanup_runs_outcome on apitoken.cleanup_runs (outcome, id desc);

-- Partitions of other tables that a run is about to detach and drop. That takes several transactions: if a run is killed
-- in between, the next run finds here what it has to finish.
create table apitoken.detached_partitions (
  relation oid primary key,
  partition_name text not null,
  target text not null,
  noted_at timestamptz not null default now()
);

-- The OwnerBlocks of all clusters: a block takes effect in every cluster that shares the database. What a block has done is
-- kept by the uid of its resource, so that it does not pass to another block of the same name.
create table apitoken.blocked_owners (
  cluster_id uuid not null,
  uid uuid not null,
  name text not null,
  owner text not null check (owner ~ '^[!-~]{1,253}$'),
  reason text not null default '',
  effective_at timestamptz not null,
  tokens_revoked bigint not null default 0,
  swept_created_at timestamptz, -- where the next batch of end_blocked_tokens begins; null: with the owner's first row
  swept_id text,
  erased_at timestamptz,
  primary key (cluster_id, uid),
  unique (cluster_id, name)
);
create index blocked_owners_owner on apitoken.blocked_owners (owner);

-- Raised whenever a replica acquires its cluster's Lease, and checked by every write: a former leader that was frozen
-- and wakes up cannot write.
create table apitoken.leader_epoch (
  cluster_id uuid primary key,
  epoch bigint not null,
  holder text not null,
  acquired_at timestamptz not null default now()
);

-- Whoever counts, issues or blocks an owner's tokens locks the row that the owner's name hashes to: see lock_owner. A fixed
-- number of rows, so that no name of an owner is kept here and nothing grows. The seed of the hash is random: otherwise whoever
-- may choose an owner's name could choose one that waits behind another owner.
create table apitoken.owner_queues (number integer primary key);
insert into apitoken.owner_queues select generate_series(0, 4095);
create table apitoken.owner_seed (
  only_row boolean primary key default true check (only_row),
  seed bigint not null
);
insert into apitoken.owner_seed (seed)
select ('x' || left(encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 16))::bit(64)::bigint;

-- The keys that a cluster's rows were made with. check_value is an HMAC of a constant under the key: it reveals when
-- different bytes are used under a known id.
create table apitoken.keys (
  cluster_id uuid not null,
  kind text not null check (kind in ('pepper', 'encryption', 'pseudonym')),
  id text not null,
  check_value bytea not null,
  first_seen_at timestamptz not null default now(),
  primary key (cluster_id, kind, id)
);

-- Who acts. Programs name themselves in the session setting apitoken.actor; a person in psql is known by their login. Whoever
-- may write an event chooses this text, so its length is limited.
create function apitoken.current_actor() returns text
language sql stable set search_path = pg_catalog, pg_temp
return coalesce(nullif(left(current_setting('apitoken.actor', true), 253), ''), session_user::text);

-- Whether a change is worth a notification. A server has one queue for all notifications, every login can fill it, and whoever
-- commits with one then fails. So nothing is notified once it is half full: the controller asks this, too, and then looks unasked.
create function apitoken.can_notify() returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
return pg_notification_queue_usage() < 0.5;

-- How many changes were not notified, so that the controller notices even if the queue is full for a moment only.
create sequence apitoken.missed_notifications;

create function apitoken.notify_change(change text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if apitoken.can_notify() then
    perform pg_notify('apitoken_changed', change);
  else
    perform nextval('apitoken.missed_notifications');
  end if;
end $$;

-- Records every change of a token in the audit trail, in the same transaction and whoever makes it. SECURITY DEFINER, so
-- that no role needs the right to write events of tokens itself.
create function apitoken.record_token_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  subject apitoken.tokens := case when tg_op = 'DELETE' then old else new end;
  -- A token that comes from anywhere but issue_token was not expected by its controller.
  is_news boolean := case when tg_op = 'INSERT' then current_setting('apitoken.issuing', true) is distinct from new.id
                          else apitoken.is_accepted(old, now()) end;
  kind text;
  details jsonb;
begin
  if tg_op = 'INSERT' then
    kind := 'TokenIssued';
    details := jsonb_strip_nulls(jsonb_build_object('expiresAt', new.expires_at, 'scopes', new.scopes,
      'requestedBy', nullif(current_setting('apitoken.requested_by', true), '')));
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
      -- Not who it was before, whose name could not be erased from another owner's event: the token's earlier events tell.
      'ownerChanged', new.owner is distinct from old.owner,
      -- Only that it was written, never the metadata: every encryption yields another ciphertext.
      'metadataWritten', new.metadata is distinct from old.metadata,
      'metadataKeyId', new.metadata_key_id, 'metadataKeyIdBefore', old.metadata_key_id);
  end if;

  insert into apitoken.security_events
    (event, reason, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, detail)
  values
    (kind, subject.revocation_reason, apitoken.current_actor(), subject.cluster_id, subject.namespace, subject.name,
     subject.resource_uid, subject.id, subject.revision, subject.owner, details);

  -- NOTIFY takes a lock on the whole server at commit, so it is reserved for tokens that are or were accepted, and a block is
  -- notified once instead of with each of its owner's tokens.
  if is_news and not (tg_op = 'UPDATE' and new.revocation_reason = 'OwnerBlocked' and exists (
    select from apitoken.blocked_owners b where b.owner = new.owner and b.effective_at <= clock_timestamp()
  )) then
    perform apitoken.notify_change(jsonb_build_object(
      -- Verifiers find the one that has replaced it by issued_xid.
      'tokenId', case when kind = 'TokenReplaced' then old.id else subject.id end,
      'clusterId', subject.cluster_id, 'namespace', subject.namespace, 'name', subject.name, 'owner', subject.owner)::text);
  end if;
  return null;
end $$;

create trigger record_issue after insert on apitoken.tokens
for each row execute function apitoken.record_token_change();

create trigger record_change after update on apitoken.tokens
for each row when ( -- a use is not a change, and the reason changes with revoked_at
  (old.id, old.cluster_id, old.namespace, old.name, old.resource_uid, old.resource_created_at, old.revision, old.owner,
   old.description, old.scopes, old.allowed_cidrs, old.metadata, old.metadata_key_id, old.grace_seconds,
   old.grace_scopes, old.rate_limit_requests, old.rate_limit_seconds, old.hash, old.hash_algorithm, old.key_id, old.issued_at,
   old.expires_at, old.revoked_at)
  is distinct from
  (new.id, new.cluster_id, new.namespace, new.name, new.resource_uid, new.resource_created_at, new.revision, new.owner,
   new.description, new.scopes, new.allowed_cidrs, new.metadata, new.metadata_key_id, new.grace_seconds,
   new.grace_scopes, new.rate_limit_requests, new.rate_limit_seconds, new.hash, new.hash_algorithm, new.key_id, new.issued_at,
   new.expires_at, new.revoked_at)
) execute function apitoken.record_token_change();

-- Tells every cluster whose block has changed, whoever has changed it: the owner's ApiTokens need a new look.
create function apitoken.report_block_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op <> 'INSERT' then
    perform apitoken.notify_change(jsonb_build_object('blockedOwner', old.owner)::text);
  end if;
  if tg_op <> 'DELETE' then
    perform apitoken.notify_change(jsonb_build_object('blockedOwner', new.owner)::text);
  end if;
  return null;
end $$;

create trigger report_block_change after insert or delete or update of owner, reason, effective_at on apitoken.blocked_owners
for each row execute function apitoken.report_block_change();

-- What has ended stays ended, whoever asks, and as it ended: an end that has passed can be neither moved nor taken away. That
-- is true of the expiry, of the revocation, and of the times from which the token is no longer live or accepted.
create function apitoken.refuse_revival() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz := clock_timestamp();
begin
  if apitoken.is_live(old, moment) then -- none of its ends has passed
    return new;
  end if;
  if new.id <> old.id or new.hash <> old.hash then -- its own could be given to a new row
    raise exception 'token % ended at % and cannot be revived: it keeps its id and its hash',
      old.id, least(old.expires_at, old.revoked_at)
      using errcode = '23514', table = 'tokens', schema = 'apitoken';
  end if;
  perform from (values
    (old.expires_at, new.expires_at),
    (old.revoked_at, coalesce(new.revoked_at, 'infinity')),
    (least(old.expires_at, old.revoked_at), least(new.expires_at, new.revoked_at)),
    (apitoken.accepted_until(old), apitoken.accepted_until(new))
  ) as ends (before, after)
  -- To a later time by the clock, however long the transaction has lasted. To an earlier time by its beginning: whoever ends a
  -- token whose time is up meanwhile does nothing wrong.
  where before <= moment and after > before or before <= now() and after < before;
  if not found then
    return new;
  end if;
  raise exception 'token % ended at % and cannot be revived: an end that has passed can be neither moved nor taken away',
    old.id, least(old.expires_at, old.revoked_at)
    using errcode = '23514', table = 'tokens', schema = 'apitoken',
          hint = 'Let its ApiToken be issued a new token: set the annotation apitoken.dev/rotate-requested-at.';
end $$;

create trigger refuse_revival before update of id, hash, expires_at, revoked_at, grace_seconds on apitoken.tokens
for each row execute function apitoken.refuse_revival();

create function apitoken.record_truncation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into apitoken.security_events (event, actor) values ('TokensTruncated', apitoken.current_actor());
  perform apitoken.notify_change('everything');
  return null;
end $$;

create trigger record_truncation after truncate on apitoken.tokens
for each statement execute function apitoken.record_truncation();

-- Dead rows are deleted in bulk by the cleanup, which writes their events itself, one for each batch and reason.
create trigger record_delete after delete on apitoken.tokens
for each row when (apitoken.is_accepted(old, now()))
execute function apitoken.record_token_change();

-- Starts a new epoch of a cluster's leadership. From the commit on, writes of older epochs are refused; await_writers then
-- waits for those that were in progress. Epochs are unique even after a restore from a backup: an epoch is at least the
-- current time in milliseconds. After not_after, nothing is done: until then the caller certainly leads, and later it could end
-- the epoch of the next leader, which would not get another one.
create function apitoken.raise_epoch(cluster uuid, new_holder text, not_after timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  raised bigint := extract(epoch from clock_timestamp()) * 1000;
begin
  -- The time is compared once the row is locked: whoever had to wait for it may be late.
  insert into apitoken.leader_epoch as current (cluster_id, epoch, holder)
  select cluster, raised, new_holder where clock_timestamp() <= not_after
  on conflict (cluster_id) do update
  set epoch = greatest(current.epoch + 1, excluded.epoch), holder = new_holder, acquired_at = clock_timestamp()
  where clock_timestamp() <= not_after
  returning current.epoch into raised;
  return raised; -- null if nothing was written
end $$;

-- Returns when every write of an epoch that was over before this transaction began has ended. Only few are left to wait for,
-- because is_leader refuses new ones before it takes their lock.
create function apitoken.await_writers(cluster uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '8s' as $$
begin
  perform from apitoken.leader_epoch e where e.cluster_id = cluster for update;
end $$;

-- Whether this epoch is still the newest; if so, await_writers waits until the transaction ends. Row locks need the right to
-- update the table, which only the controller's role has, while anybody may take an advisory lock. FOR KEY SHARE excludes
-- neither other writers nor raise_epoch. It may lock a row that has just been updated, so the epoch is read once more after it,
-- in a statement of its own that sees what was committed meanwhile.
create function apitoken.is_leader(cluster uuid, epoch_held bigint) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'writes of the controller must be READ COMMITTED, and this transaction is %',
      upper(current_setting('transaction_isolation'))
      using errcode = '25001', hint = 'Set default_transaction_isolation to ''read committed'' after connecting.';
  end if;
  if not exists (select from apitoken.leader_epoch e where e.cluster_id = cluster and e.epoch = epoch_held) then
    return false;
  end if;
  perform from apitoken.leader_epoch e where e.cluster_id = cluster for key share;
  return exists (select from apitoken.leader_epoch e where e.cluster_id = cluster and e.epoch = epoch_held);
end $$;

-- Serializes everything that counts, issues or blocks an owner's tokens. Call it first: only statements that start after
-- it see what the previous holder committed. They use clock_timestamp(), because now() dates from before the wait. Waits
-- for a moment only, so that an owner whose queue is stuck does not keep a connection from the others: the caller tries again.
create function apitoken.lock_owner(locked_owner text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
begin
  perform from apitoken.owner_queues q
  where q.number = (select hashtextextended(locked_owner, s.seed) & 4095 from apitoken.owner_seed s) for update;
end $$;

-- The owner's other ApiTokens of which a token is accepted, and whether each counts towards the limit.
create function apitoken.find_rivals(token apitoken.tokens, limit_scope text, at timestamptz)
returns table (resource_uid uuid, resource_created_at timestamptz, is_counted boolean)
language sql stable parallel safe
begin atomic
  -- once each, even if somebody has written a row with another time
  select t.resource_uid, min(t.resource_created_at), bool_or(apitoken.is_counted(t, at)) from apitoken.tokens t
  where t.owner = token.owner and t.resource_uid <> token.resource_uid
    and (limit_scope = 'Database' or t.cluster_id = token.cluster_id) and apitoken.is_accepted(t, at)
  group by t.resource_uid;
end;

-- Whether a token may be issued now: 'issued', 'blocked' or 'over_limit'. supersedes is true if older ApiTokens of the owner
-- must make room for it. Expects the lock of the owner.
create function apitoken.judge_issue(
  token apitoken.tokens, owner_max integer, on_limit text, limit_scope text, out outcome text, out supersedes boolean
)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz := clock_timestamp();
  older integer;
  newer integer;
  has_place boolean;
begin
  supersedes := false;
  if exists (select from apitoken.blocked_owners b where b.owner = token.owner and b.effective_at <= moment) then
    outcome := 'blocked';
    return;
  end if;
  select count(*) filter (where (r.resource_created_at, r.resource_uid) < (token.resource_created_at, token.resource_uid)),
         count(*) filter (where (r.resource_created_at, r.resource_uid) > (token.resource_created_at, token.resource_uid))
  into older, newer from apitoken.find_rivals(token, limit_scope, moment) r where r.is_counted;
  if on_limit = 'Reject' then
    has_place := exists (
      select from apitoken.tokens t where t.resource_uid = token.resource_uid and apitoken.is_accepted(t, moment));
    outcome := case when older + (case when has_place then 0 else newer end) >= owner_max then 'over_limit' else 'issued' end;
  else
    outcome := case when newer >= owner_max then 'over_limit' else 'issued' end;
    supersedes := older + newer >= owner_max;
  end if;
end $$;

-- Issues a token (a row of apitoken.tokens as JSON) unless its owner is blocked or has no place left. Returns 'issued',
-- 'fenced', 'blocked' or 'over_limit'; nothing is written unless it is 'issued'. Nothing is ended for it yet: what it
-- supersedes works until take_over, because a token that never reaches its Secret must not cost the owner a working one.
create function apitoken.issue_token(
  epoch_held bigint, row_to_issue jsonb, owner_max integer, on_limit text, limit_scope text
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  token apitoken.tokens := jsonb_populate_record(null::apitoken.tokens, row_to_issue);
  verdict record;
begin
  if not apitoken.is_leader(token.cluster_id, epoch_held) then
    return 'fenced';
  end if;
  perform apitoken.lock_owner(token.owner);
  verdict := apitoken.judge_issue(token, owner_max, on_limit, limit_scope);
  if verdict.outcome <> 'issued' then
    return verdict.outcome;
  end if;
  perform set_config('apitoken.issuing', token.id, true);
  perform set_config('apitoken.requested_by', coalesce(row_to_issue ->> 'requested_by', ''), true);
  insert into apitoken.tokens
    (id, cluster_id, namespace, name, resource_uid, resource_created_at, revision, owner, description, scopes, allowed_cidrs,
     metadata, metadata_key_id, grace_seconds, grace_scopes, rate_limit_requests, rate_limit_seconds, supersedes, hash,
     hash_algorithm, key_id, issued_at, expires_at, active_since)
  values
    (token.id, token.cluster_id, token.namespace, token.name, token.resource_uid, token.resource_created_at, token.revision,
     token.owner, token.description, token.scopes, token.allowed_cidrs, token.metadata, token.metadata_key_id,
     token.grace_seconds, token.grace_scopes, token.rate_limit_requests, token.rate_limit_seconds, verdict.supersedes,
     token.hash, token.hash_algorithm, token.key_id, token.issued_at, token.expires_at, token.active_since);
  return 'issued';
end $$;

-- Replaces a token that nobody holds by another one of the same revision (a row as for issue_token), under the same
-- conditions. Returns 'issued', 'fenced', 'blocked', 'over_limit', or 'gone' if the lost one is no longer live.
create function apitoken.replace_token(
  epoch_held bigint, lost_id text, new_row jsonb, owner_max integer, on_limit text, limit_scope text
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  lost apitoken.tokens;
  token apitoken.tokens;
  verdict record;
begin
  if not apitoken.is_leader((new_row ->> 'cluster_id')::uuid, epoch_held) then
    return 'fenced';
  end if;
  perform apitoken.lock_owner(new_row ->> 'owner');
  select * into lost from apitoken.tokens t where t.id = lost_id and t.cluster_id = (new_row ->> 'cluster_id')::uuid for update;
  if lost.id is null or not apitoken.is_current(lost, clock_timestamp()) then
    return 'gone';
  end if;
  token := jsonb_populate_record(lost, new_row);
  verdict := apitoken.judge_issue(token, owner_max, on_limit, limit_scope);
  if verdict.outcome <> 'issued' then
    return verdict.outcome;
  end if;
  update apitoken.tokens t
  set id = token.id, owner = token.owner, description = token.description, scopes = token.scopes,
      allowed_cidrs = token.allowed_cidrs, metadata = token.metadata, metadata_key_id = token.metadata_key_id,
      grace_seconds = token.grace_seconds, grace_scopes = token.grace_scopes,
      rate_limit_requests = token.rate_limit_requests, rate_limit_seconds = token.rate_limit_seconds,
      supersedes = verdict.supersedes, hash = token.hash, hash_algorithm = token.hash_algorithm, key_id = token.key_id,
      issued_at = token.issued_at, expires_at = token.expires_at, issued_xid = default,
      last_used_at = null, last_used_address = null
  where t.id = lost_id;
  return 'issued';
end $$;

-- Lets a token that is in its Secret take the place of the owner's oldest ApiTokens beyond the limit, which ends their tokens.
-- Returns how many ApiTokens it has superseded; null if another leader has taken over. If the token has ended meanwhile, it
-- supersedes nothing.
create function apitoken.take_over(
  epoch_held bigint, cluster uuid, token_id text, owner_max integer, limit_scope text
) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  token apitoken.tokens;
  moment timestamptz;
  older uuid[];
  newer integer;
  excess integer;
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return null;
  end if;
  perform apitoken.lock_owner((select t.owner from apitoken.tokens t where t.id = token_id));
  moment := clock_timestamp();
  select * into token from apitoken.tokens t where t.id = token_id and t.cluster_id = cluster and t.supersedes;
  if token.id is null or not apitoken.is_live(token, moment) then
    return 0;
  end if;
  select coalesce(array_agg(r.resource_uid order by r.resource_created_at, r.resource_uid) filter (
           where (r.resource_created_at, r.resource_uid) < (token.resource_created_at, token.resource_uid)), '{}'),
         count(*) filter (where (r.resource_created_at, r.resource_uid) > (token.resource_created_at, token.resource_uid))
  into older, newer
  -- also those that are to supersede others themselves and do not count yet: otherwise none of them would ever yield
  from apitoken.find_rivals(token, limit_scope, moment) r;
  excess := greatest(least(cardinality(older), cardinality(older) + newer + 1 - owner_max), 0);
  update apitoken.tokens t set revoked_at = moment, revocation_reason = 'Superseded'
  where t.id in ( -- locked in the order of their ids, like everything that changes several rows: no two of these deadlock
    select r.id from apitoken.tokens r
    where r.resource_uid = any (older[:excess]) and apitoken.is_accepted(r, moment) order by r.id for update);
  update apitoken.tokens t set supersedes = false where t.id = token_id;
  return excess;
end $$;

-- Records an OwnerBlock, in place of any former one of the same name. Once it is in effect, nothing is issued to the owner and
-- verifiers refuse the owner's tokens, before any of them has been ended. Returns false if another leader has taken over and
-- nothing was written.
create function apitoken.record_block(
  epoch_held bigint, cluster uuid, block_uid uuid, block_name text, blocked_owner text, block_reason text,
  effective timestamptz
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return false;
  end if;
  perform apitoken.lock_owner(blocked_owner);
  delete from apitoken.blocked_owners b where b.cluster_id = cluster and b.name = block_name and b.uid <> block_uid;
  insert into apitoken.blocked_owners as b (cluster_id, uid, name, owner, reason, effective_at)
  values (cluster, block_uid, block_name, blocked_owner, block_reason, effective)
  on conflict (cluster_id, uid) do update set owner = blocked_owner, reason = block_reason, effective_at = effective
  where (b.owner, b.reason, b.effective_at) is distinct from (blocked_owner, block_reason, effective);
  return true;
end $$;

-- An OwnerBlock that is in effect, and stays so until the end of the transaction: it can be neither lifted nor changed meanwhile.
-- The revocations of a block are not notified one by one, so whoever hears that it was lifted must find all of them.
create function apitoken.find_effective_block(cluster uuid, block_uid uuid) returns apitoken.blocked_owners
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  block apitoken.blocked_owners;
begin
  select * into block from apitoken.blocked_owners b
  where b.cluster_id = cluster and b.uid = block_uid and b.effective_at <= clock_timestamp() for no key update;
  if block.uid is null then
    raise exception 'no OwnerBlock with this uid is in effect' using errcode = '55000';
  end if;
  return block;
end $$;

-- One batch of end_blocked_tokens, which begins where the last one ended: otherwise each would read again what all before it
-- have ended. After the owner's last row it begins with the first again.
create function apitoken.end_batch(block apitoken.blocked_owners, batch_size integer) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz := clock_timestamp();
  swept record;
begin
  with due as materialized (
    select t.ctid as place, t.resource_created_at, t.id from apitoken.tokens t
    where t.owner = block.owner and apitoken.is_accepted(t, moment)
      and (t.resource_created_at, t.id) > (coalesce(block.swept_created_at, '-infinity'), coalesce(block.swept_id, ''))
    order by t.resource_created_at, t.id limit batch_size for update skip locked
  ), ended as (
    update apitoken.tokens t set revoked_at = moment, revocation_reason = 'OwnerBlocked'
    where t.ctid = any (array(select place from due)) returning 1
  )
  select (select count(*) from ended) as rows, (select count(*) = batch_size from due) as is_full, last.* into swept
  from (select) as always
  left join (select resource_created_at, id from due order by 1 desc, 2 desc limit 1) as last on true;
  update apitoken.blocked_owners b set
    tokens_revoked = b.tokens_revoked + swept.rows,
    swept_created_at = case when swept.is_full then swept.resource_created_at end,
    swept_id = case when swept.is_full then swept.id end
  where b.cluster_id = block.cluster_id and b.uid = block.uid and (swept.rows > 0 or b.swept_id is not null);
  -- The tokens are not notified one by one, and when the block was recorded, its time may not have come.
  if block.swept_id is null and swept.rows > 0 then
    perform apitoken.notify_change(jsonb_build_object('blockedOwner', block.owner)::text);
  end if;
  return swept.rows;
end $$;

-- Ends up to batch_size accepted tokens of a blocked owner, in all clusters. Returns how many it has ended; null if another
-- leader has taken over. Rows that somebody else has locked are left for a later batch, so that no batch waits or deadlocks.
create function apitoken.end_blocked_tokens(epoch_held bigint, cluster uuid, block_uid uuid, batch_size integer)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  block apitoken.blocked_owners;
  ended integer;
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return null;
  end if;
  block := apitoken.find_effective_block(cluster, block_uid);
  ended := apitoken.end_batch(block, batch_size);
  if ended = 0 then
    -- Whoever is issuing a token at this moment may not have seen a block that has only just come into effect.
    perform apitoken.lock_owner(block.owner);
    ended := apitoken.end_batch(apitoken.find_effective_block(cluster, block_uid), batch_size);
  end if;
  return ended;
end $$;

-- Erases up to batch_size traces of a blocked owner: first it deletes token rows, then it replaces the name by a pseudonym in
-- the audit trail; what was counted of the tokens' uses goes with them. Returns how many, and whether none is left and it has recorded that the owner is erased: with rows that
-- somebody has locked, neither is true. Null if another leader has taken over. SECURITY DEFINER, because this is the only way in
-- which a role may change the trail. So it writes a pseudonym there and no other name, and it deletes no token that is accepted.
create function apitoken.erase_blocked_owner(
  epoch_held bigint, cluster uuid, block_uid uuid, pseudonym text, batch_size integer,
  out erased integer, out is_complete boolean
)
language plpgsql security definer
-- A batch is found by an index; a join that reads the whole trail would be planned from outdated statistics.
set search_path = pg_catalog, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  moment timestamptz := clock_timestamp();
  blocked text;
  ids text[];
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return;
  end if;
  if pseudonym is null or pseudonym !~ '^erased-[0-9a-f]{32}$' then
    raise exception 'an erased owner is named by a pseudonym: erased- and 32 hexadecimal digits' using errcode = '22023';
  end if;
  is_complete := false;
  blocked := (apitoken.find_effective_block(cluster, block_uid)).owner;
  with gone as (
    delete from apitoken.tokens t where t.ctid = any (array(
      select r.ctid from apitoken.tokens r where r.owner = blocked and not apitoken.is_accepted(r, moment)
      limit batch_size for update skip locked))
    returning t.id
  )
  select array_agg(g.id) into ids from gone g;
  erased := coalesce(cardinality(ids), 0);
  delete from apitoken.token_usage u where u.token_id = any (ids);
  if erased > 0 then
    return;
  end if;
  with due as (
    select e.id, e.occurred_at from apitoken.security_events e where e.owner = blocked limit batch_size
  ), renamed as (
    update apitoken.security_events e
    set owner = pseudonym, detail = e.detail - 'requestedBy'
    from due where e.id = due.id and e.occurred_at = due.occurred_at
    returning e.token_id
  )
  select count(*), array_agg(distinct r.token_id) into erased, ids from renamed r;
  -- Also of tokens whose rows the cleanup has deleted: the trail was the last to say whose they were.
  delete from apitoken.token_usage u where u.token_id = any (ids);
  if erased > 0 or exists (select from apitoken.tokens t where t.owner = blocked) then
    return;
  end if;
  -- Without the block's name, which often is the owner's.
  insert into apitoken.security_events (event, reason, actor, cluster_id, resource_uid, owner)
  values ('OwnerErased', 'OwnerBlocked', apitoken.current_actor(), cluster, block_uid, pseudonym);
  update apitoken.blocked_owners b set erased_at = clock_timestamp()
  where b.cluster_id = cluster and b.uid = block_uid;
  is_complete := true;
end $$;

-- Creates the missing partitions of the audit trail and of the counts of uses, from this month to `months_ahead` months from now,
-- and returns their names. CREATE followed by ATTACH, because CREATE … PARTITION OF would lock out every writer of the table.
create function apitoken.create_event_partitions(months_ahead integer) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  this_month timestamp := date_trunc('month', now() at time zone 'UTC');
  lower_bound timestamp;
  parent text;
  partition_name text;
begin
  if months_ahead not between 0 and 60 then
    raise exception 'months_ahead is %, but must be from 0 to 60', months_ahead using errcode = '22023';
  end if;
  for parent, lower_bound in -- the trail first: without it nothing can be issued
    select p.name, this_month + make_interval(months => month)
    from (values (1, 'security_events'), (2, 'token_usage')) as p (place, name), generate_series(0, months_ahead) as month
    order by p.place, month
  loop
    partition_name := parent || '_' || to_char(lower_bound, 'YYYY_MM');
    continue when to_regclass('apitoken.' || partition_name) is not null;
    -- as ATTACH takes it; others may be doing the same
    execute format('lock table apitoken.%I in share update exclusive mode', parent);
    continue when to_regclass('apitoken.' || partition_name) is not null;
    execute format('create table apitoken.%I (like apitoken.%I including defaults including storage)',
      partition_name, parent);
    execute format('alter table apitoken.%I attach partition apitoken.%I for values from (%L) to (%L)',
      parent, partition_name, lower_bound::text || '+00', (lower_bound + interval '1 month')::text || '+00');
    return next partition_name;
  end loop;
end $$;

-- The names of the partitions of these two tables that hold rows, all of them older than the retention.
create function apitoken.expired_event_partitions(retention interval) returns setof text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select c.relname::text
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent in ('apitoken.security_events'::regclass, 'apitoken.token_usage'::regclass)
    and c.relname ~ '^(security_events|token_usage)_[0-9]{4}_[0-9]{2}$'
    and (to_date(right(c.relname, 7), 'YYYY_MM')::timestamp + interval '1 month') at time zone 'UTC' <= now() - retention
    and pg_relation_size(c.oid) > 0
  order by 1;
end;

-- Deletes all rows of these partitions and returns their names. It does not drop them: that would lock the whole trail, and
-- so every change of a token, until the cleanup's transaction ends.
create function apitoken.empty_event_partitions(retention interval) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  partition_name text;
begin
  -- The times are compared, not the intervals: -1000 months 30030 days is a month to Postgres, but ends in the future.
  if retention is null or now() - retention > now() - interval '1 month' then
    raise exception 'the retention of the audit trail is %, but must be at least a month', retention using errcode = '22023';
  end if;
  for partition_name in select apitoken.expired_event_partitions(retention) loop
    execute format('truncate apitoken.%I', partition_name);
    return next partition_name;
  end loop;
end $$;

-- Drops partitions of one of the two tables that are empty and past, for the controller, and returns their names. The lock on the
-- table lasts until the transaction ends; everybody who changes a token waits behind one on the trail.
create function apitoken.drop_empty_partitions(parent text) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  partition_name text;
begin
  if parent is null or parent not in ('security_events', 'token_usage') then
    raise exception 'only partitions of security_events and token_usage are dropped' using errcode = '22023';
  end if;
  for partition_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = to_regclass('apitoken.' || parent) and pg_relation_size(c.oid) = 0
      and c.relname ~ ('^' || parent || '_[0-9]{4}_[0-9]{2}$')
      and (to_date(right(c.relname, 7), 'YYYY_MM')::timestamp + interval '2 months') at time zone 'UTC' <= now()
    order by 1
  loop
    execute format('lock table apitoken.%I in access exclusive mode', parent);
    continue when pg_relation_size(format('apitoken.%I', partition_name)) > 0;
    execute format('drop table apitoken.%I', partition_name);
    return next partition_name;
  end loop;
end $$;

-- Deletes dead tokens for the cleanup, and returns what it has deleted: of these rows those that are past their retention, and
-- never one that is accepted, whatever the caller says: what ended before this moment is not accepted, so a later time than this
-- counts as this moment. Whoever may delete from a table may also lock it in any mode, so the cleanup's role may not.
-- `skips_locked` leaves rows that another session has locked; otherwise it waits for them.
create function apitoken.delete_dead_tokens(
  rows_to_delete tid[], expired_before timestamptz, revoked_before timestamptz, skips_locked boolean
) returns setof apitoken.tokens
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  expired_before := least(expired_before, clock_timestamp());
  revoked_before := least(revoked_before, clock_timestamp());
  if skips_locked then
    rows_to_delete := array(
      select t.ctid from apitoken.tokens t
      where t.ctid = any (rows_to_delete)
        and (apitoken.grace_end(t) <= expired_before or t.revoked_at <= revoked_before) for update skip locked);
  end if;
  return query
    delete from apitoken.tokens t
    where t.ctid = any (rows_to_delete) and (apitoken.grace_end(t) <= expired_before or t.revoked_at <= revoked_before)
    returning t.*;
end $$;

-- The same for all dead rows of a range of blocks, without returning them. Returns how many it has deleted and, if asked, their ids;
-- without ids, to read the blocks twice takes less time than to collect the rows. Of the conditions for what has expired, the
-- first follows from the others, and decides about most rows.
create function apitoken.delete_dead_range(
  from_place tid, to_place tid, expired_before timestamptz, revoked_before timestamptz, with_keys boolean,
  out expired bigint, out revoked bigint, out expired_keys text[], out revoked_keys text[]
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  expired_before := least(expired_before, clock_timestamp());
  revoked_before := least(revoked_before, clock_timestamp());
  if with_keys then
    with gone as (
      delete from apitoken.tokens t
      where t.ctid >= from_place and t.ctid < to_place
        and (t.expires_at <= expired_before and (t.grace_seconds is null or apitoken.grace_end(t) <= expired_before)
          or t.revoked_at <= revoked_before)
      returning t.id, t.expires_at <= expired_before
        and (t.grace_seconds is null or apitoken.grace_end(t) <= expired_before) as has_expired
    )
    select count(*) filter (where g.has_expired), count(*) filter (where not g.has_expired),
           array_agg(g.id) filter (where g.has_expired), array_agg(g.id) filter (where not g.has_expired)
    into expired, revoked, expired_keys, revoked_keys from gone g;
  else
    delete from apitoken.tokens t
    where t.ctid >= from_place and t.ctid < to_place and t.expires_at <= expired_before
      and (t.grace_seconds is null or apitoken.grace_end(t) <= expired_before);
    get diagnostics expired = row_count;
    delete from apitoken.tokens t where t.ctid >= from_place and t.ctid < to_place and t.revoked_at <= revoked_before;
    get diagnostics revoked = row_count;
  end if;
end $$;

-- Records what the cleanup has deleted. Its role may not insert into the trail: with a key of its choice, and an open
-- transaction, an event could make another one wait.
create function apitoken.record_cleaned(event_name text, why text, details jsonb, keys text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if event_name not in ('TokensCleaned', 'RowsCleaned', 'PartitionDropped') then
    raise exception 'the cleanup does not record events of the kind %', event_name using errcode = '22023';
  end if;
  insert into apitoken.security_events (event, reason, actor, detail, row_keys)
  values (event_name, why, apitoken.current_actor(), details, keys);
end $$;

-- Notes uses of tokens, for verifiers; ids that do not exist are ignored. Of each token one use is noted, the latest, and none
-- within a minute of one that has been noted or before it. What is reported late counts as an hour old. So a verifier adds a row a
-- minute for each token, and 60 at first, whatever it reports and however often.
create function apitoken.note_uses(token_ids text[], used_at timestamptz[], addresses inet[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz := clock_timestamp();
  uses integer := greatest(cardinality(token_ids), cardinality(used_at), cardinality(addresses));
begin
  if uses > 1000 then
    raise exception '% uses are too many for one call; the limit is 1000', uses using errcode = '22023';
  end if;
  insert into apitoken.token_uses (token_id, used_at, address)
  select distinct on (t.id) t.id, new.at, new.address
  from (select u.id, greatest(least(u.at, moment), moment - interval '1 hour') as at, u.address
        from unnest(token_ids, used_at, addresses) as u (id, at, address)
        where u.at is not null) as new
    join apitoken.tokens t on t.id = new.id
  where (t.last_used_at is null or t.last_used_at < new.at - interval '1 minute')
    and not exists (select from apitoken.token_uses u where u.token_id = t.id and u.used_at > new.at - interval '1 minute')
  order by t.id, new.at desc;
end $$;

-- Ends a token for whoever proves to hold it, by its keyed hash as in apitoken.tokens. Verifiers refuse it from the commit on,
-- and the controller, which is notified, revokes it. Says nothing, so that nobody learns whether the token or the hash is right.
create function apitoken.end_token(ended_id text, stored_hash bytea, why text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  token apitoken.tokens;
begin
  if why is null or why not in ('RevokedByHolder', 'Leaked') then
    raise exception 'a token is ended for RevokedByHolder or Leaked, and for no other reason' using errcode = '22023';
  end if;
  select * into token from apitoken.tokens t
  where t.id = ended_id and t.hash = stored_hash and apitoken.is_accepted(t, clock_timestamp())
    and not exists (select from apitoken.requested_ends e where e.token_id = t.id);
  if token.id is not null then
    insert into apitoken.requested_ends (token_id, reason) values (token.id, why);
    perform apitoken.notify_change(jsonb_build_object(
      'tokenId', token.id, 'clusterId', token.cluster_id, 'namespace', token.namespace, 'name', token.name,
      'owner', token.owner)::text);
  end if;
end $$;

-- Whether verifiers refuse tokens for these reasons, which are those of src/token/verdict.ts.
create function apitoken.are_failures(reasons text[]) returns boolean
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return array_position(reasons, null) is null
  and reasons <@ array['WrongSecret', 'OwnerBlocked', 'Revoked', 'Expired', 'AddressNotAllowed', 'ScopeMissing'];

-- Records in the audit trail that tokens were refused, for verifiers: once a minute for each token, for whatever reason. Says
-- nothing about whether there are such tokens.
create function apitoken.record_failures(token_ids text[], reasons text[], addresses inet[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  failures integer := greatest(cardinality(token_ids), cardinality(reasons), cardinality(addresses));
begin
  if failures > 1000 then
    raise exception '% failures are too many for one call; the limit is 1000', failures using errcode = '22023';
  end if;
  if (apitoken.are_failures(reasons) and cardinality(reasons) = failures) is not true then
    raise exception 'this is not a reason for which a verifier refuses a token' using errcode = '22023';
  end if;
  insert into apitoken.security_events
    (event, reason, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, address)
  select distinct on (t.id) 'VerificationFailed', f.why, apitoken.current_actor(), t.cluster_id, t.namespace, t.name,
         t.resource_uid, t.id, t.revision, t.owner, f.address
  from unnest(token_ids, reasons, addresses) with ordinality as f (id, why, address, place)
    join apitoken.tokens t on t.id = f.id
  where not exists (
    select from apitoken.security_events e
    where e.token_id = t.id and e.event = 'VerificationFailed' and e.occurred_at > now() - interval '1 minute')
  order by t.id, f.place;
end $$;

-- Records in the audit trail what verifiers find unusual about the uses of tokens, and passes it on to the controller: each kind once a
-- day for each token. Nothing is done to the tokens.
create function apitoken.report_anomalies(token_ids text[], kinds text[], addresses inet[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  anomalies integer := greatest(cardinality(token_ids), cardinality(kinds), cardinality(addresses));
begin
  if anomalies > 1000 then
    raise exception '% anomalies are too many for one call; the limit is 1000', anomalies using errcode = '22023';
  end if;
  if (kinds <@ array['NewNetwork', 'ManyAddresses', 'UnusualRate', 'WrongSecrets'] and array_position(kinds, null) is null
      and cardinality(kinds) = anomalies) is not true then
    raise exception 'a verifier knows no such kind of anomaly' using errcode = '22023';
  end if;
  with recorded as (
    insert into apitoken.security_events
      (event, reason, actor, cluster_id, namespace, name, resource_uid, token_id, revision, owner, address)
    select distinct on (t.id, a.kind) 'UnusualUse', a.kind, apitoken.current_actor(), t.cluster_id, t.namespace, t.name,
           t.resource_uid, t.id, t.revision, t.owner, a.address
    from unnest(token_ids, kinds, addresses) with ordinality as a (id, kind, address, place)
      join apitoken.tokens t on t.id = a.id
    where not exists (
      select from apitoken.security_events e
      where e.token_id = t.id and e.event = 'UnusualUse' and e.reason = a.kind and e.occurred_at > now() - interval '1 day')
    order by t.id, a.kind, a.place
    returning token_id, reason, address
  )
  insert into apitoken.anomalies (token_id, kind, address) select r.token_id, r.reason, r.address from recorded r;
end $$;

-- Adds to the counts of uses, for verifiers: each number to a token, a day and a result; tokens that do not exist are ignored. A day
-- more than a week ago counts as a week ago, one in the future as today. The rows are changed in the order of their keys, so that
-- two verifiers never wait for each other in turn, and a verifier that keeps its transaction open holds up nothing but counts.
create function apitoken.count_uses(token_ids text[], days date[], results text[], numbers bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
  today date := (clock_timestamp() at time zone 'UTC')::date;
  earliest date := today - 7;
  counts integer := greatest(cardinality(token_ids), cardinality(days), cardinality(results), cardinality(numbers));
begin
  if counts > 1000 then
    raise exception '% counts are too many for one call; the limit is 1000', counts using errcode = '22023';
  end if;
  if (apitoken.are_failures(array_remove(array_remove(results, 'Good'), 'RateLimited')) and cardinality(results) = counts) is not true then
    raise exception 'uses are counted as Good, as RateLimited, or by the reason of the refusal' using errcode = '22023';
  end if;
  if to_regclass('apitoken.token_usage_' || to_char(earliest, 'YYYY_MM')) is null then
    earliest := date_trunc('month', today); -- the schema is younger than a week
  end if;
  insert into apitoken.token_usage as u (token_id, day, result, uses)
  select t.id, least(greatest(c.day, earliest), today), c.result, sum(least(c.number, 1000000000))
  from unnest(token_ids, days, results, numbers) as c (id, day, result, number) join apitoken.tokens t on t.id = c.id
  where c.number > 0 and c.day is not null
  group by 1, 2, 3
  order by 1, 2, 3
  on conflict (token_id, day, result) do update set uses = least(u.uses::numeric + excluded.uses, 9000000000000000000);
end $$;

-- Revokes tokens that their holders have ended. Returns false if another leader has taken over and nothing was written.
create function apitoken.carry_out_ends(epoch_held bigint, cluster uuid, token_ids text[]) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  moment timestamptz;
begin
  if not apitoken.is_leader(cluster, epoch_held) then
    return false;
  end if;
  moment := clock_timestamp();
  update apitoken.tokens t
  set revoked_at = moment,
      revocation_reason = (select e.reason from apitoken.requested_ends e where e.token_id = t.id order by e.requested_at limit 1)
  where t.id in (
    select due.id from apitoken.tokens due
    where due.cluster_id = cluster and due.id = any (token_ids) and apitoken.is_accepted(due, moment)
      and exists (select from apitoken.requested_ends e where e.token_id = due.id)
    order by due.id for update);
  delete from apitoken.requested_ends e where e.token_id = any (token_ids);
  return true;
end $$;

-- Every batch of every cleanup, with what it deleted from which table.
create view apitoken.cleaned_batches as
select id as batch, (detail->>'run')::bigint as run, occurred_at as cleaned_at, detail->>'table' as table_name, event,
       reason, actor, (detail->>'rows')::bigint as rows, row_keys
from apitoken.security_events
where event in ('TokensCleaned', 'RowsCleaned', 'PartitionDropped');

-- One line for each deleted row. A key of several columns is a JSON array.
create view apitoken.cleaned_rows as
select batch, run, cleaned_at, table_name, reason, actor, row_key
from apitoken.cleaned_batches, unnest(row_keys) as row_key;

-- When, by which run and why a row was deleted. Faster than the view for a single key, because it does not expand the
-- batches. A key that may be a secret is recorded as a hash, so that is what is searched for as well. `since` narrows the search to
-- later months.
create function apitoken.find_cleaned(key text, in_table text default 'apitoken.tokens', since timestamptz default '-infinity')
returns table (cleaned_at timestamptz, run bigint, batch bigint, reason text, actor text)
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select b.cleaned_at, b.run, b.batch, b.reason, b.actor
  from apitoken.cleaned_batches b
  where b.table_name = in_table and b.cleaned_at >= since and array[key, 'sha256:' || encode(sha256(convert_to(key, 'UTF8')), 'hex')] && b.row_keys
  order by b.cleaned_at;
end;

revoke execute on all functions in schema apitoken from public;
grant execute on function
  apitoken.is_live(apitoken.tokens, timestamptz),
  apitoken.grace_end(apitoken.tokens),
  apitoken.accepted_until(apitoken.tokens),
  apitoken.is_accepted(apitoken.tokens, timestamptz),
  apitoken.is_in_grace(apitoken.tokens, timestamptz),
  apitoken.is_current(apitoken.tokens, timestamptz),
  apitoken.is_counted(apitoken.tokens, timestamptz)
to apitoken_controller, apitoken_cleanup, apitoken_verifier;
grant execute on function apitoken.current_actor() to apitoken_controller, apitoken_cleanup, apitoken_verifier;
grant execute on function
  apitoken.can_notify(),
  apitoken.notify_change(text),
  apitoken.raise_epoch(uuid, text, timestamptz),
  apitoken.await_writers(uuid),
  apitoken.is_leader(uuid, bigint),
  apitoken.lock_owner(text),
  apitoken.find_rivals(apitoken.tokens, text, timestamptz),
  apitoken.judge_issue(apitoken.tokens, integer, text, text),
  apitoken.issue_token(bigint, jsonb, integer, text, text),
  apitoken.replace_token(bigint, text, jsonb, integer, text, text),
  apitoken.take_over(bigint, uuid, text, integer, text),
  apitoken.record_block(bigint, uuid, uuid, text, text, text, timestamptz),
  apitoken.find_effective_block(uuid, uuid),
  apitoken.end_batch(apitoken.blocked_owners, integer),
  apitoken.end_blocked_tokens(bigint, uuid, uuid, integer),
  apitoken.erase_blocked_owner(bigint, uuid, uuid, text, integer),
  apitoken.carry_out_ends(bigint, uuid, text[]),
  apitoken.drop_empty_partitions(text)
to apitoken_controller;
grant execute on function apitoken.create_event_partitions(integer) to apitoken_controller, apitoken_cleanup;
grant execute on function apitoken.expired_event_partitions(interval) to apitoken_controller, apitoken_cleanup;
grant execute on function
  apitoken.empty_event_partitions(interval),
  apitoken.delete_dead_tokens(tid[], timestamptz, timestamptz, boolean),
  apitoken.delete_dead_range(tid, tid, timestamptz, timestamptz, boolean),
  apitoken.record_cleaned(text, text, jsonb, text[])
to apitoken_cleanup;
grant execute on function apitoken.can_notify(), apitoken.find_issued(pg_snapshot, integer) to apitoken_verifier;
grant execute on function
  apitoken.note_uses(text[], timestamptz[], inet[]),
  apitoken.end_token(text, bytea, text),
  apitoken.record_failures(text[], text[], inet[]),
  apitoken.count_uses(text[], date[], text[], bigint[]),
  apitoken.report_anomalies(text[], text[], inet[])
to apitoken_verifier;
grant execute on function apitoken.find_cleaned(text, text, timestamptz) to apitoken_controller, apitoken_cleanup;

select apitoken.create_event_partitions(3);

grant select, insert, update on apitoken.tokens to apitoken_controller;
grant select, insert, update, delete on apitoken.blocked_owners to apitoken_controller;
grant select, insert on apitoken.keys to apitoken_controller;
grant select, insert, update on apitoken.leader_epoch to apitoken_controller;
grant select, update on apitoken.owner_queues to apitoken_controller;
grant select on apitoken.owner_seed to apitoken_controller;
grant select, usage on apitoken.missed_notifications to apitoken_controller;
grant select on apitoken.missed_notifications to apitoken_verifier;
grant select on apitoken.security_events, apitoken.token_usage, apitoken.cleanup_runs to apitoken_controller;
grant select on apitoken.cleaned_batches, apitoken.cleaned_rows to apitoken_controller, apitoken_cleanup;

grant select, delete, update on apitoken.token_uses, apitoken.anomalies, apitoken.requested_ends to apitoken_controller;

-- These two roles may lock nothing that the controller waits for: no UPDATE, DELETE, TRUNCATE or MAINTAIN on a table that it
-- writes. What they change there, functions change for them, and none of those takes a lock that outlives its purpose.
grant select on apitoken.tokens, apitoken.security_events to apitoken_cleanup;
grant select, insert, update on apitoken.cleanup_runs to apitoken_cleanup;
grant select, insert, update, delete on apitoken.detached_partitions to apitoken_cleanup;
grant select on apitoken.tokens, apitoken.blocked_owners, apitoken.requested_ends to apitoken_verifier;

-- If somebody grants the cleanup's role or its login DELETE after all, accepted tokens are still out of its reach.
alter table apitoken.tokens enable row level security;
create policy controller on apitoken.tokens to apitoken_controller using (true) with check (true);
create policy verifier_read on apitoken.tokens for select to apitoken_verifier using (true);
create policy cleanup_read on apitoken.tokens for select to apitoken_cleanup using (true);
create policy cleanup_delete on apitoken.tokens for delete to apitoken_cleanup
  using (not apitoken.is_accepted(tokens, now()));

-- Down Migration

drop schema apitoken cascade;
