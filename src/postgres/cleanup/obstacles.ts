/*
 * What makes Postgres delete less than it was told to, without an error, or refuse every deletion of a table: row-level security,
 * rules, and publications of tables whose rows have no identity. SQL expressions, in which `c` is the table's row of pg_class.
 */
import { wholeTree } from "./tree.ts";

/** A restrictive policy, with the command that exempts the role from it. */
export interface RestrictivePolicy {
  readonly name: string;
  /** The quoted name, for SQL. */
  readonly table: string;
  readonly command: string;
}

/** A rule for DELETE on a table, whose quoted name it has, for SQL. */
export interface RuleFacts {
  readonly name: string;
  readonly table: string;
}

/** SQL: the relations of a table's tree, as `alias`, with their quoted names. */
const tree = (alias: string) =>
  `${wholeTree("c.oid")} tree join pg_class ${alias} on ${alias}.oid = tree.relid
   join pg_namespace ${alias}n on ${alias}n.oid = ${alias}.relnamespace`;

const nameOf = (alias: string) => `format('%I.%I', ${alias}n.nspname, ${alias}.relname)`;

/** Postgres applies a policy to whoever has the privileges of one of its roles. */
const IS_OF_ROLE = "exists (select from unnest(p.polroles) as member where member = 0 or pg_has_role(member, 'USAGE'))";

const SHOWS_ALL = "pg_get_expr(p.polqual, p.polrelid) = 'true'";

/** The role sees every row if permissive policies say so for all three commands that a batch consists of. */
export const HIDDEN = `(select coalesce(json_agg(${nameOf("h")} order by h.oid), '[]')
  from ${tree("h")}
  where row_security_active(h.oid) and exists (
    select from unnest(array['r', 'w', 'd']) as command where not exists (
      select from pg_policy p where p.polrelid = h.oid and p.polpermissive and p.polcmd in ('*', command)
        and ${SHOWS_ALL} and ${IS_OF_ROLE})))`;

const EXEMPTION = "((CURRENT_USER = ''apitoken_cleanup''::name) OR ";

/** Restrictive policies take away what permissive ones show, unless they exempt the role by name. */
export const RESTRICTED = `(select coalesce(json_agg(json_build_object('name', p.polname, 'table', ${nameOf("h")},
    'command', format('alter policy %I on %s using (current_user = ''apitoken_cleanup'' or (%s))',
      p.polname, ${nameOf("h")}, pg_get_expr(p.polqual, p.polrelid))) order by h.oid, p.polname), '[]')
  from ${tree("h")} join pg_policy p on p.polrelid = h.oid
  where row_security_active(h.oid) and not p.polpermissive and p.polcmd in ('*', 'r', 'w', 'd') and ${IS_OF_ROLE}
    and not ${SHOWS_ALL} and not starts_with(pg_get_expr(p.polqual, p.polrelid), '${EXEMPTION}'))`;

export const RULES = `(select coalesce(json_agg(json_build_object('name', r.rulename, 'table', ${nameOf("l")})
    order by l.oid, r.rulename), '[]')
  from ${tree("l")} join pg_rewrite r on r.ev_class = l.oid where r.ev_type = '4' and r.ev_enabled <> 'D')`;

/** https://www.postgresql.org/docs/current/logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY */
export const UNIDENTIFIED = `(select coalesce(json_agg(${nameOf("u")} order by u.oid), '[]')
  from ${tree("u")}
  where u.relkind = 'r' and u.relpersistence = 'p' and u.relreplident <> 'f' and not exists (
      select from pg_index i where i.indrelid = u.oid and i.indisvalid and (
        u.relreplident = 'd' and i.indisprimary and i.indimmediate or u.relreplident = 'i' and i.indisreplident))
    and exists (
      select from pg_publication_tables pt join pg_publication p on p.pubname = pt.pubname
        join pg_namespace pn on pn.nspname = pt.schemaname
        join pg_class pc on pc.relnamespace = pn.oid and pc.relname = pt.tablename
      where p.pubdelete and (pc.oid = u.oid or pc.oid in (select pg_partition_ancestors(u.oid)))))`;
