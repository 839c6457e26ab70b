import fc from "fast-check";
import { expect, test } from "vitest";
import { isWithin, networkOf, toBlockList } from "../../../src/token/network.ts";

test.for([
  ["192.0.2.77", "192.0.2.0/24"],
  ["0.0.0.0", "0.0.0.0/24"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:0DB8:0000:0001:ffff::", "2001:db8:0:1::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4::/64"],
  ["1::8", "1:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
  ["somewhere", undefined],
  ["", undefined],
] as const)("the network of %s is %s", ([address, network]) => {
  expect(networkOf(address)).toBe(network);
});

test("every address is within its network, and two spellings of an address have the same", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const network = networkOf(address) ?? "";
      expect(isWithin(address, toBlockList([network]))).toBe(true);
    }),
  );
});
