import { expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { SchemaMismatchError } from "../../../src/postgres/schema-version.ts";
import { createTestDatabase } from "../../support/database.ts";

test("a schema from before the first release is refused with the remedy, and left as it is", async () => {
  const url = await createTestDatabase();
  await runAsSuperuser(url, "update apitoken.schema_version set version = 2, compatible_from = 1");
  const error = await migrate({ url }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SchemaMismatchError);
  expect(String(error)).toMatch(/schema version 2, from before the first release.*use an empty database/);
  expect(await runAsSuperuser(url, "select version, compatible_from from apitoken.schema_version")).toEqual([
    { version: 2, compatible_from: 1 },
  ]);
});

test("a schema that is up to date is not changed", async () => {
  expect(await migrate({ url: await createTestDatabase() })).toEqual([]);
});

test("a newer schema is left as it is: a release can be rolled back", async () => {
  const url = await createTestDatabase();
  await runAsSuperuser(url, "update apitoken.schema_version set version = 99");
  expect(await migrate({ url })).toEqual([]);
});
