import { expect } from "vitest";
import { viewLease } from "../../../src/kube/lease-view.ts";
import { clusterTest as test } from "../../support/fixtures.ts";

const OWN_MS = 100;
const AGO_MS = 5_000;

test.for([
  ["of a second", 1, "expired"],
  ["of a minute, which is more than ten times the observer's own", 60, "expired"],
  ["of 68 years, which somebody wrote", 2 ** 31 - 1, "expired"],
] as const)("a lease that nobody renews is not a leader: %s", async ([, seconds, state], { cluster }) => {
  const { transport, namespace } = cluster;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const name = `lease-${seconds}`;
  const renewTime = `${new Date(Date.now() - AGO_MS).toISOString().slice(0, -1)}000Z`;
  const spec = { holderIdentity: "gone", leaseDurationSeconds: seconds, renewTime };
  await transport.request("POST", path, { body: { metadata: { name, namespace }, spec } });
  const view = await viewLease(transport, { namespace, name, leaseDurationMs: OWN_MS }, AbortSignal.timeout(20_000));
  expect(view).toMatchObject({ state, holder: "gone" });
});
