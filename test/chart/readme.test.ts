import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runAsSuperuser, startPostgres } from "../../local/postgres-server.ts";
import { openDatabase } from "../../src/postgres/database.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { requireSchema } from "../../src/postgres/schema-version.ts";
import { CHART } from "../support/chart/values-table.ts";

test("the SQL in the chart's README creates sufficient logins on an unprepared server", async () => {
  const readme = readFileSync(new URL("README.md", CHART), "utf8");
  const sql = /```sql\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const server = await startPostgres(); // its own server, because roles belong to the whole server
  try {
    const url = await server.createDatabase("tokens");
    await runAsSuperuser(url, sql);
    const as = (user: string) => {
      const login = new URL(url);
      login.username = user;
      login.password = "…";
      return login.href;
    };
    expect(await migrate({ url: as("tokens_owner") })).not.toEqual([]);
    for (const program of ["controller", "cleanup"] as const) {
      const login = { url: as(`tokens_${program}`), role: `apitoken_${program}` } as const;
      const db = openDatabase({ ...login, actor: "test", maxConnections: 1 });
      await requireSchema(db).finally(() => db.close());
    }
  } finally {
    await server.stop();
  }
});
