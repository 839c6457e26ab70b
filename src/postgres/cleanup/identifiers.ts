/*
 * Names of tables and columns come from a configuration file and become SQL that deletes rows, so every one is parsed and quoted
 * here.
 */
import { Fault } from "../../runtime/fault.ts";

/** A table's name as in the catalog: unquoted. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A text that cannot be a name in Postgres. The remedy says how to write it. */
export class IdentifierError extends Fault {
  override readonly name = "IdentifierError";

  constructor(problem: string, remedy?: string) {
    super({ faultCode: "APITOKEN_E_NAME_INVALID", problem, remedy });
  }
}

const PART = /(?:"((?:[^"\0]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))/;
const ONE_PART = new RegExp(`^${PART.source}$`);
const TWO_PARTS = new RegExp(`^${PART.source}\\.${PART.source}$`);

/** NAMEDATALEN - 1. Postgres would cut off the rest, and the shorter name may be another table's. */
const LONGEST_BYTES = 63;

/**
 * Reads `schema.table` as SQL would: unquoted parts are folded to lower case, "a""b" is a"b. The schema is required, so that no
 * search_path decides which table is deleted from. Throws an IdentifierError.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
 */
export function parseTableName(text: string): TableName {
  const match = TWO_PARTS.exec(text);
  if (match === null) {
    throw new IdentifierError(
      `${JSON.stringify(text)} is not a table`,
      'write it as schema.table, such as app.refresh_tokens or app."Weird Table"',
    );
  }
  return { schema: unquote(match[1], match[2]), table: unquote(match[3], match[4]) };
}

/** Reads a column's name as SQL would. Throws an IdentifierError. */
export function parseColumnName(text: string): string {
  const match = ONE_PART.exec(text);
  if (match === null) {
    throw new IdentifierError(
      `${JSON.stringify(text)} is not a column`,
      'write it as in SQL, such as expires_at or "Expires At"',
    );
  }
  return unquote(match[1], match[2]);
}

function unquote(quoted: string | undefined, bare: string | undefined): string {
  const name =
    quoted === undefined
      ? (bare ?? "").replace(/[A-Z]/g, (letter) => letter.toLowerCase())
      : quoted.replaceAll('""', '"');
  if (Buffer.byteLength(name) > LONGEST_BYTES) {
    throw new IdentifierError(
      `${JSON.stringify(name)} is too long`,
      `names in Postgres have at most ${LONGEST_BYTES} bytes`,
    );
  }
  return name;
}

/** A name for SQL, always quoted. */
export function quoteIdentifier(name: string): string {
  if (name === "" || name.includes("\0")) throw new IdentifierError(`${JSON.stringify(name)} cannot be a name`);
  return `"${name.replaceAll('"', '""')}"`;
}

/** Schema and table for SQL, both quoted. */
export function quoteTable({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

/** A text as an SQL literal. Correct only with standard_conforming_strings, which `prepareSession` sets. */
export function quoteLiteral(text: string): string {
  if (text.includes("\0")) throw new IdentifierError("a text with a zero byte cannot be compared in SQL");
  return `'${text.replaceAll("'", "''")}'`;
}

/** A table's name for people: quoted only where SQL requires it. */
export function formatTableName({ schema, table }: TableName): string {
  const format = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdentifier(name));
  return `${format(schema)}.${format(table)}`;
}
