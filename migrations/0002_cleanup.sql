-- Up Migration

-- What the cleanup deletes is recorded batch by batch: one event for each reason, with the keys of all its rows. A row
-- of the trail for each deleted row would cost more than the deletion itself. External: keys do not compress.
alter table apitoken.security_events add column row_keys text[];
alter table apitoken.security_events alter column row_keys set storage external;
create index security_events_cleaned on apitoken.security_events (occurred_at)
  where event in ('TokensCleaned', 'RowsCleaned', 'PartitionDropped');

-- As before, and partitions to come keep row_keys external as well.
create or replace function apitoken.create_event_partitions(months_ahead integer) returns setof text
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
    execute format('create table apitoken.%I (like apitoken.security_events including defaults including storage)',
      partition_name);
    execute format('alter table apitoken.security_events attach partition apitoken.%I for values from (%L) to (%L)',
      partition_name, lower_bound::text || '+00', (lower_bound + interval '1 month')::text || '+00');
    return next partition_name;
  end loop;
end $$;

-- The batches of all cleanups, with what they deleted from which table.
create view apitoken.cleaned_batches as
select id as batch, (detail->>'run')::bigint as run, occurred_at as cleaned_at, detail->>'table' as table_name, event,
       reason, actor, (detail->>'rows')::bigint as rows, row_keys
from apitoken.security_events
where event in ('TokensCleaned', 'RowsCleaned', 'PartitionDropped');

-- Each deleted row by itself. A key of several columns is a JSON array.
create view apitoken.cleaned_rows as
select batch, run, cleaned_at, table_name, reason, actor, row_key
from apitoken.cleaned_batches, unnest(row_keys) as row_key;

-- When, by which run and why a row was deleted. To find one key this is faster than the view: it does not unfold the
-- batches. `since` spares it the months before.
create function apitoken.find_cleaned(key text, in_table text default 'apitoken.tokens', since timestamptz default '-infinity')
returns table (cleaned_at timestamptz, run bigint, batch bigint, reason text, actor text)
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select b.cleaned_at, b.run, b.batch, b.reason, b.actor
  from apitoken.cleaned_batches b
  where b.table_name = in_table and b.cleaned_at >= since and key = any (b.row_keys)
  order by b.cleaned_at;
end;

revoke execute on function apitoken.find_cleaned(text, text, timestamptz) from public;
grant execute on function apitoken.find_cleaned(text, text, timestamptz) to apitoken_controller, apitoken_cleanup;
grant select on apitoken.cleaned_batches, apitoken.cleaned_rows to apitoken_controller, apitoken_cleanup;

-- Partitions of other tables that a run is about to detach and drop. Detaching takes several transactions: what a killed
-- run has left here, the next one finishes.
create table apitoken.detached_partitions (
  relation oid primary key,
  partition_name text not null,
  target text not null,
  noted_at timestamptz not null default now()
);
grant select, insert, update, delete on apitoken.detached_partitions to apitoken_cleanup;

-- Of several hundred runs the controller wants the newest, by outcome.
create index cleanup_runs_outcome on apitoken.cleanup_runs (outcome, id desc);

update apitoken.schema_version set version = 2;

-- Down Migration

drop index apitoken.cleanup_runs_outcome;
drop table apitoken.detached_partitions;
drop function apitoken.find_cleaned(text, text, timestamptz);
drop view apitoken.cleaned_rows, apitoken.cleaned_batches;
drop index apitoken.security_events_cleaned;
alter table apitoken.security_events drop column row_keys;
update apitoken.schema_version set version = 1;
