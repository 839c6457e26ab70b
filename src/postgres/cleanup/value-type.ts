/*
 * A column's type may be a domain, and the domain over another one: what counts is the type of the values.
 */

/** SQL: the type of the values of column `a` of pg_attribute, as a row with `oid` and the modifier, `typmod`. */
export const VALUE_TYPE = `(with recursive layer as (
      select t.oid, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod as typmod from pg_type t where t.oid = a.atttypid
      union all
      select t.oid, t.typtype, t.typbasetype, t.typtypmod, layer.typtypmod
      from layer join pg_type t on t.oid = layer.typbasetype where layer.typtype = 'd')
    select oid, typmod from layer where typtype <> 'd')`;
