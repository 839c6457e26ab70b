/*
 * Schema and programs are upgraded one after the other. A program that meets the wrong schema must refuse to start instead of
 * failing in the middle of a write.
 */
import { Fault } from "../runtime/fault.ts";
import type { Queryable } from "./database.ts";
import { sqlState } from "./errors.ts";

/** The newest schema that this program knows. */
export const SCHEMA_VERSION = 3;

/** This program cannot work with the database's schema. */
export class SchemaMismatchError extends Fault {
  override readonly name = "SchemaMismatchError";
}

/** Throws a SchemaMismatchError unless this program can work with the schema that the database has. */
export async function requireSchema(db: Queryable): Promise<void> {
  const [schema] = await db
    .query<{ version: number; compatible_from: number }>({
      text: "select version, compatible_from from apitoken.schema_version",
    })
    .catch((error: unknown) => {
      if (sqlState(error) === "42P01" || sqlState(error) === "3F000") return [];
      throw error;
    });
  if (schema === undefined || schema.version < SCHEMA_VERSION) {
    const found = schema === undefined ? 'no schema "apitoken"' : `schema version ${schema.version}`;
    throw new SchemaMismatchError({
      faultCode: schema === undefined ? "APITOKEN_E_SCHEMA_MISSING" : "APITOKEN_E_SCHEMA_TOO_OLD",
      problem: `the database has ${found}, but this program needs version ${SCHEMA_VERSION}`,
      remedy: 'run "migrate" first',
    });
  }
  if (schema.compatible_from > SCHEMA_VERSION) {
    throw new SchemaMismatchError({
      faultCode: "APITOKEN_E_SCHEMA_TOO_NEW",
      problem:
        `the database's schema version ${schema.version} needs a program that knows version ${schema.compatible_from} ` +
        `or newer, and this one knows version ${SCHEMA_VERSION}`,
      remedy: "install a newer release",
    });
  }
}
