import { expect } from "vitest";
import { readToken } from "../../support/cluster.ts";
import { isIdle, startTestController } from "../../support/controllers.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReason } from "../../support/resources.ts";

/** The API server of the file's own has no namespace controller: a namespace that is deleted stays, with its content. */
test("nothing is issued into a namespace that is being deleted, and what is in it can still end", async ({
  cluster,
  databaseUrl,
}) => {
  const { namespace, transport } = cluster;
  let controller = await startTestController(cluster, databaseUrl);
  try {
    const kept = await issueToken(cluster, "kept");
    await issueToken(cluster, "lost");
    await cluster.apply("new", { owner: "alice", suspend: true });
    await untilReason(cluster, "new", "Suspended");
    await controller.stop();

    await transport.request("DELETE", `/api/v1/namespaces/${namespace}`);
    const { status } = await transport.request<{ status: { phase: string } }>("GET", `/api/v1/namespaces/${namespace}`);
    expect(status.phase).toBe("Terminating");
    await cluster.patch("new", { suspend: false });
    await cluster.annotate("kept", { "apitoken.dev/rotate-requested-at": "1" });
    await transport.request("DELETE", `/api/v1/namespaces/${namespace}/secrets/lost`);

    controller = await startTestController(cluster, databaseUrl);
    for (const name of ["new", "lost"]) await untilReason(cluster, name, "NamespaceTerminating");
    await eventually(() => isIdle(controller));
    expect(await findRows(databaseUrl, "new")).toEqual([]);
    expect(await cluster.getSecret("new")).toBeUndefined();
    for (const name of ["kept", "lost"]) {
      expect((await findEvents(databaseUrl, name)).map(({ event }) => event)).toEqual(["TokenIssued"]);
    }
    expect(readToken(await cluster.getSecret("kept"))).toBe(kept);
    expect(await verifies(cluster, databaseUrl, kept)).toBe(true);

    for (const name of ["kept", "lost", "new"]) await cluster.delete(name);
    for (const name of ["kept", "lost", "new"]) {
      await eventually(async () => expect(await cluster.get(name)).toBeUndefined());
    }
    expect(await verifies(cluster, databaseUrl, kept)).toBe(false);
    expect((await findRows(databaseUrl, "lost")).filter((row) => row.is_live)).toEqual([]);
  } finally {
    await controller.stop();
  }
});
