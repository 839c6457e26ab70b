import { expect } from "vitest";
import type { KubeTransport } from "../../../src/kube/transport.ts";
import type { Database } from "../../../src/postgres/database.ts";
import { readMetric, startTestController } from "../../support/controllers.ts";
import { findRows } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

/** A process that freezes when it is about to send the statement that begins its epoch, as SIGSTOP or a slow network does it. */
function createFrozenAtEpoch() {
  const frozen = Promise.withResolvers<void>();
  const thawed = Promise.withResolvers<void>();
  const sent = Promise.withResolvers<void>();
  let isFrozen = false;
  const pass = async () => void (isFrozen && (await thawed.promise));
  return {
    frozen: frozen.promise,
    /** Resolves when the database has answered the statement. */
    sent: sent.promise,
    thaw: () => thawed.resolve(),
    wrapTransport: (transport: KubeTransport): KubeTransport => ({
      ...transport,
      async request<T>(...call: Parameters<KubeTransport["request"]>) {
        await pass();
        return transport.request<T>(...call);
      },
    }),
    wrapDatabase: (database: Database): Database => ({
      ...database,
      get usage() {
        return database.usage;
      },
      async query(statement) {
        const isEpoch = statement.text.includes("raise_epoch") && !isFrozen;
        if (isEpoch) {
          isFrozen = true;
          frozen.resolve();
        }
        await pass();
        return database.query<never>(statement).finally(() => isEpoch && sent.resolve());
      },
    }),
  };
}

test("an epoch that a former leader begins too late does not keep the leader from its work", async ({
  cluster,
  databaseUrl,
}) => {
  const former = createFrozenAtEpoch();
  const first = await startTestController(cluster, databaseUrl, { identity: "former", ...former });
  await former.frozen;
  const second = await startTestController(cluster, databaseUrl, { identity: "leader" });
  try {
    await eventually(async () => expect(await readMetric(second, "apitoken_leading")).toBe(1));
    await issueToken(cluster, "before");
    former.thaw();
    await former.sent;
    await issueToken(cluster, "after");
    expect(await readMetric(second, "apitoken_leading")).toBe(1);
    expect(await findRows(databaseUrl, "after")).toMatchObject([{ is_live: true }]);
  } finally {
    former.thaw();
    await Promise.all([first.stop(), second.stop()]);
  }
});
