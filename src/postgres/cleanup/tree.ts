/*
 * A table's rows may be stored in other relations: its partitions, and tables that inherit from it.
 */

/** SQL: a relation with all that is below it, partitions and children; those that are being detached are not. */
export function wholeTree(oid: string): string {
  return `(with recursive below as (
      select ${oid} as relid
      union
      select i.inhrelid from below join pg_inherits i on i.inhparent = below.relid where not i.inhdetachpending
    ) select relid from below)`;
}

/** SQL: a relation with all that it is a partition or a child of. */
export function ancestors(oid: string): string {
  return `(with recursive above as (
      select ${oid} as relid union select i.inhparent from above join pg_inherits i on i.inhrelid = above.relid
    ) select relid from above)`;
}
