import pg from "pg";
import { expect } from "vitest";
import { conditionOf } from "../../support/cluster.ts";
import { findRows } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

test("while a person in psql locks a token, its status says who, and the revocation follows when they are done", async ({
  cluster,
  databaseUrl,
  onTestFinished,
}) => {
  await issueToken(cluster, "locked", { owner: "alice" });
  const person = new pg.Client({ connectionString: databaseUrl, application_name: "psql" });
  await person.connect();
  onTestFinished(() => person.end());
  await person.query("begin");
  await person.query("select from apitoken.tokens where name = 'locked' for share");
  const { rows } = await person.query<{ pid: number }>("select pg_backend_pid() as pid");

  await cluster.patch("locked", { revoked: true });
  await eventually(async () =>
    expect(conditionOf(await cluster.get("locked"), "Ready")).toMatchObject({
      reason: "DatabaseUnavailable",
      message: expect.stringContaining(`server process ${rows[0]?.pid} (application "psql", login "postgres")`),
    }),
  );
  expect(await findRows(databaseUrl, "locked")).toMatchObject([{ is_live: true }]);

  await person.query("rollback");
  await eventually(async () => expect(await findRows(databaseUrl, "locked")).toMatchObject([{ is_live: false }]));
  await eventually(async () =>
    expect(conditionOf(await cluster.get("locked"), "Ready")).toMatchObject({
      status: "False",
      reason: "RevokedBySpec",
    }),
  );
});
