import { expect, test } from "vitest";
import { createFindAddress } from "../../../../src/verifier/limits/client-address.ts";

const PROXIES = ["10.0.0.0/8", "fd00::/8"];

test.each([
  ["without trusted proxies it is the peer, whatever the header says", [], "192.0.2.1", "198.51.100.1", "192.0.2.1"],
  ["only a trusted proxy is believed", PROXIES, "192.0.2.1", "198.51.100.1", "192.0.2.1"],
  ["behind a trusted proxy it is the last hop", PROXIES, "10.0.0.1", "192.0.2.9, 198.51.100.1", "198.51.100.1"],
  ["hops of trusted proxies are passed over", PROXIES, "10.0.0.1", "198.51.100.1, 10.2.2.2", "198.51.100.1"],
  ["without the header it is the proxy", PROXIES, "10.0.0.1", undefined, "10.0.0.1"],
  ["if all hops are proxies, it is the first of them", PROXIES, "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
  ["a word is passed on as it is, and no CIDR has it", PROXIES, "10.0.0.1", "unknown", "unknown"],
  ["IPv4 in IPv6 is IPv4", PROXIES, "::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"],
  ["ports are dropped", PROXIES, "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"],
  ["also those of IPv6", PROXIES, "fd00::1", "[2001:db8::1]:4711", "2001:db8::1"],
  ["a header that comes twice is one list", PROXIES, "10.0.0.1", "198.51.100.1\n192.0.2.9, 10.2.2.2", "192.0.2.9"],
])("%s", (_, trusted, peer, forwardedFor, expected) => {
  expect(createFindAddress(trusted)(peer, () => forwardedFor?.split("\n"))).toBe(expected);
});
