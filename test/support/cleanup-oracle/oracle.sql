-- The oracle: which rows the cleanup may delete, worked out row by row in plain SQL and tried out on a copy of the tables. Whether a
-- foreign key lets a row go, and what goes with it, is not worked out at all: Postgres is asked, by deleting that one row.

create schema oracle;

-- The database's clock stands still at a moment, so that microseconds before and after a limit can be tested. The planner replaces
-- the calls of a function in SQL with its body, so that this holds for the function that the server has built in, too.
create procedure oracle.stop_clock(moment text) language plpgsql as $$ begin
  execute format('create or replace function pg_catalog.now() returns timestamptz language sql stable as %L',
                 format('select %L::timestamptz', moment));
end $$;

do $$ begin
  create role oracle_owner;
exception when duplicate_object or unique_violation then null; end $$;
grant oracle_owner to apitoken_cleanup;

-- Gives a partitioned table to a role that the cleanup is a member of.
create procedure oracle.give(partitioned regclass) language plpgsql as $$
declare
  part regclass;
begin
  for part in select relid from pg_partition_tree(partitioned) loop
    execute format('alter table %s owner to oracle_owner', part);
  end loop;
end $$;

-- Inserts a row if there is a partition for it.
create procedure oracle.try(statement text) language plpgsql as $$ begin
  execute statement;
exception when check_violation then null; end $$;

-- A time of a row as microseconds since 1970: null if the column is null, an empty array if its value means "no time".
-- `seconds` is what another column adds; `plus` is fixed.
create function oracle.time_of(type text, value text, unit text, zone text, plus numeric, adds boolean, seconds numeric, never text[])
returns numeric[] language plpgsql as $$
declare
  number numeric;
  wall timestamp;
  spell text;
begin
  if value is null or adds and seconds is null then return null; end if;
  -- More than three thousand years do not count as times either; Infinity and NaN are more than any number.
  if adds and (seconds <= 0 or seconds > 100000000000) then return '{}'; end if;
  if type in ('integer', 'bigint', 'numeric', 'double precision') then
    number := value::numeric;
    if number <= 0 or number in ('Infinity', 'NaN') then return '{}'; end if;
    foreach spell in array never loop
      if number = spell::numeric then return '{}'; end if;
    end loop;
    number := number * case unit when 'seconds' then 1000000 when 'milliseconds' then 1000 else 1 end;
  else
    if value in ('infinity', '-infinity') or value like '% BC' or value like '0001-%' then return '{}'; end if;
    foreach spell in array never loop
      if value::timestamptz = spell::timestamptz then return '{}'; end if;
    end loop;
    number := case type
      when 'timestamptz' then extract(epoch from value::timestamptz)
      when 'timestamp' then extract(epoch from value::timestamp at time zone zone)
      else extract(epoch from (value::date + 1)::timestamp at time zone zone) -- when the day is over
    end * 1000000;
  end if;
  return array[number + 1000000 * (plus + case when adds then seconds else 0 end)];
end $$;

-- What a target says of each of its rows. `reason` is null if the row is not due.
create table oracle.verdicts (
  schema_name text, table_name text, target text, n integer, reason text, has_expired boolean, is_revoked boolean,
  has_expiry boolean, key text, primary key (schema_name, table_name, n));

-- Rows that must not go with others, in their own table (all that are not due) or when another table's row goes (those of a target).
create table oracle.kept (schema_name text, table_name text, n integer, is_of_target boolean);

-- Whether one of them is gone.
create function oracle.has_lost(in_schema text, of_table text, reached text[]) returns boolean language plpgsql as $$
declare
  each text;
  is_lost boolean;
begin
  foreach each in array reached || of_table loop
    execute format(
      'select exists (select from oracle.kept k where k.schema_name = %L and k.table_name = %L and (%L or k.is_of_target)
         and not exists (select from %I.%I t where t.n = k.n))', in_schema, each, each = of_table, in_schema, each) into is_lost;
    if is_lost then return true; end if;
  end loop;
  return false;
end $$;

create function oracle.count_rows(in_schema text, tables text[]) returns jsonb language plpgsql as $$
declare
  counts jsonb := '{}';
  each text;
  rows bigint;
begin
  foreach each in array tables loop
    execute format('select count(*) from %I.%I', in_schema, each) into rows;
    counts := counts || jsonb_build_object(each, rows);
  end loop;
  return counts;
end $$;

-- Tries to delete one row, alone. Returns whether it and all that goes with it may go.
create function oracle.may_go(in_schema text, of_table text, reached text[], row_number integer) returns boolean
language plpgsql as $$ begin
  execute format('delete from %I.%I where n = %s', in_schema, of_table, row_number);
  if oracle.has_lost(in_schema, of_table, reached) then raise exception using errcode = 'OR001'; end if;
  return true;
exception
  when sqlstate 'OR001' or foreign_key_violation or restrict_violation or not_null_violation then return false;
end $$;

create function oracle.find_due(in_schema text, of_table text, of_target text) returns integer[] language plpgsql as $$
declare
  due integer[];
begin
  execute format('select coalesce(array_agg(n order by n), ''{}'') from %I.%I join oracle.verdicts v using (n)
    where v.schema_name = %L and v.table_name = %L and v.target = %L and v.reason is not null',
    in_schema, of_table, in_schema, of_table, of_target) into due;
  return due;
end $$;

-- Rows of no target that have gone with others before do not matter any more.
create procedure oracle.forget_lost(in_schema text, tables text[]) language plpgsql as $$
declare
  each text;
begin
  foreach each in array tables loop
    execute format('delete from oracle.kept k where k.schema_name = %L and k.table_name = %L and not k.is_of_target
      and not exists (select from %I.%I t where t.n = k.n)', in_schema, each, in_schema, each);
  end loop;
end $$;

-- Cleans a target on the copy: one row after the other, until none can go any more.
create function oracle.clean(in_schema text, of_table text, of_target text, reached text[]) returns jsonb language plpgsql as $$
declare
  due integer[] := oracle.find_due(in_schema, of_table, of_target);
  left_rows integer[] := due;
  still integer[];
  before jsonb := oracle.count_rows(in_schema, reached);
  before_here integer := oracle.count_rows(in_schema, array[of_table])->>of_table;
  gone integer[];
  after jsonb;
  each integer;
begin
  call oracle.forget_lost(in_schema, reached || of_table);
  loop
    foreach each in array left_rows loop
      perform oracle.may_go(in_schema, of_table, reached, each);
    end loop;
    still := oracle.find_due(in_schema, of_table, of_target);
    exit when still = left_rows;
    left_rows := still;
  end loop;
  after := oracle.count_rows(in_schema, reached);
  select coalesce(array_agg(n), '{}') into gone from unnest(due) n where n <> all (still);
  return jsonb_build_object('gone', gone, 'held', cardinality(still), 'relatives',
    before_here - (oracle.count_rows(in_schema, array[of_table])->>of_table)::integer - cardinality(gone),
    'taken', (select coalesce(jsonb_object_agg(key, value::integer - (after->>key)::integer), '{}') from jsonb_each_text(before)));
end $$;

-- What a dry run should say of a target: the same, of the tables as they are before any target is cleaned. Changes nothing.
create function oracle.preview(in_schema text, of_table text, of_target text, reached text[]) returns jsonb language plpgsql as $$
declare
  said jsonb;
begin
  said := oracle.clean(in_schema, of_table, of_target, reached);
  raise exception using errcode = 'OR002';
exception when sqlstate 'OR002' then return said;
end $$;
