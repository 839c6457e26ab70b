/*
 * Where a request comes from. A header can be forged by anybody, so it counts as far as trusted proxies have written it: from the
 * right, the first address that is not one of theirs.
 */
import { isWithin, toBlockList } from "../../token/network.ts";

/** Says where a request comes from: by the peer of its connection and, if that is trusted, the values of its X-Forwarded-For. */
export type FindAddress = (peer: string, readForwardedFor: () => readonly string[] | undefined) => string;

/** Gateways are few, and have many requests: the spelling of each is worked out once. */
const PEERS_KEPT = 1_000;

/** Trusts these networks to write X-Forwarded-For; with none, it is always the peer. */
export function createFindAddress(trustedProxies: readonly string[]): FindAddress {
  const peers = new Map<string, string>();
  const findPeer = (peer: string) => {
    const kept = peers.get(peer);
    if (kept !== undefined) return kept;
    if (peers.size >= PEERS_KEPT) peers.clear();
    const address = plain(peer);
    peers.set(peer, address);
    return address;
  };
  if (trustedProxies.length === 0) return findPeer;
  const trusted = toBlockList(trustedProxies);
  return (peer, readForwardedFor) => {
    const hops = (readForwardedFor() ?? []).flatMap((value) => value.split(",")).map((hop) => hop.trim());
    let address = findPeer(peer);
    while (isWithin(address, trusted) && hops.length > 0) address = plain(hops.pop() ?? "");
    return address;
  };
}

/** IPv4 in IPv6 as IPv4, so that an address has one spelling; without a port, which some proxies append. */
function plain(address: string): string {
  const bare = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1");
  return bare.startsWith("::ffff:") && bare.includes(".") ? bare.slice("::ffff:".length) : bare;
}
