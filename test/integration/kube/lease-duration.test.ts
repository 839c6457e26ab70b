import { expect } from "vitest";
import { runLeaderElection } from "../../../src/kube/lease.ts";
import { createLogger } from "../../../src/runtime/log.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { noteHolders } from "./note-holders.ts";

/* How long a candidate waits for a holder that is gone, by the duration in the Lease and by its own. */

const TIMES = { leaseDurationMs: 400, renewDeadlineMs: 300, retryPeriodMs: 50 };

test.for([
  ["the duration that the holder wrote, not its own", 2, 2_000, "stays"],
  ["the duration that the holder wrote, also when somebody has deleted the lease", 2, 2_000, "is deleted"],
  ["ten times its own, if somebody wrote 68 years", 2 ** 31 - 1, 4_000, "stays"],
  ["ten times its own, if somebody wrote 68 years and deleted the lease", 2 ** 31 - 1, 4_000, "is deleted"],
] as const)("a candidate waits for %s", async ([, leaseDurationSeconds, waitMs, fate], { cluster }) => {
  const { namespace } = cluster;
  const name = `lease-${leaseDurationSeconds}-${fate.replace(" ", "-")}`;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const spec = { holderIdentity: "gone", leaseDurationSeconds, renewTime: "2020-01-01T00:00:00.000000Z" };
  await cluster.transport.request("POST", path, { body: { metadata: { name, namespace }, spec } });
  const { holders, transport } = noteHolders(cluster);
  const leading = Promise.withResolvers<number>();
  const stopping = new AbortController();
  const startedAtMs = performance.now();
  const finished = runLeaderElection({
    ...TIMES,
    transport,
    namespace,
    name,
    identity: "waits",
    signal: stopping.signal,
    log: createLogger("test", "error"),
    onTerm: async () => leading.resolve(performance.now() - startedAtMs),
  });
  try {
    await eventually(() => holders.includes("gone"));
    if (fate === "is deleted") await cluster.transport.request("DELETE", `${path}/${name}`);
    expect(await leading.promise).toBeGreaterThan(waitMs);
  } finally {
    stopping.abort();
    await finished;
  }
});
