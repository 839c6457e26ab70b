/*
 * The token and session tables of a system that companies run, and how that system decides which of their rows are dead. The
 * other files of this folder are facts, written down from each system's sources; names of tables and columns are theirs.
 */

/** What a system calls dead in one table. Both are SQL predicates on the table's columns. */
export interface Judgement {
  /** The system considers the row dead now. */
  readonly dead: string;
  /** The row has been dead for longer than the retention of `config`, and nothing that must stay refers to it: it has to go. */
  readonly due: string;
}

export interface RealSystem {
  readonly name: string;
  readonly version: string;
  /** The tables as the system creates them. */
  readonly ddl: string;
  /** The cleanup's configuration file for these tables. */
  readonly config: string;
  /** Rows of every class that the system knows, inserted by SQL. */
  readonly rows: string;
  /** The tables that are cleaned, by their names in SQL. */
  readonly tables: Readonly<Record<string, Judgement>>;
}
