/*
 * What a candidate has seen of its Lease decides what it does next, so tests wait until it has.
 */
import type { KubeTransport } from "../../../src/kube/transport.ts";
import type { TestCluster } from "../../support/cluster.ts";

/** A transport that notes the holder of each lease that is read through it. */
export function noteHolders({ transport }: TestCluster) {
  const holders: (string | undefined)[] = [];
  const noting: KubeTransport = {
    ...transport,
    async request<T>(...call: Parameters<KubeTransport["request"]>) {
      const answer = await transport.request<T>(...call);
      if (call[0] === "GET") holders.push((answer as { spec?: { holderIdentity?: string } }).spec?.holderIdentity);
      return answer;
    },
  };
  return { holders, transport: noting };
}
