/*
 * Networks in CIDR notation (RFC 4632, RFC 4291), such as 10.0.0.0/8 or fd00::/8, and what lies within them.
 */
import { BlockList, isIP } from "node:net";

interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Whether a text is a network. */
export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined;
}

/** Whether a text is an IPv4 or IPv6 address that a database takes: one with a zone, as in fe80::1%eth0, has no meaning elsewhere. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

/** The networks as one list. What is not a network holds nothing: the CRD refuses it, but a row may have been written with SQL. */
export function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const { address, bits, family } of networks.flatMap((text) => readNetwork(text) ?? [])) {
    list.addSubnet(address, bits, family);
  }
  return list;
}

/** An IPv4 address is also found in its IPv6 form, ::ffff:10.0.0.1. Anything but an address is nowhere. */
export function isWithin(address: string, networks: BlockList): boolean {
  const family = familyOf(address);
  return family !== undefined && networks.check(address, family);
}

/** The network of an address that one site usually has: /24 of IPv4, /64 of IPv6; undefined if it is not an address. */
export function networkOf(address: string): string | undefined {
  const family = familyOf(address);
  if (family === undefined) return undefined;
  if (family === "ipv4") return `${address.slice(0, address.lastIndexOf("."))}.0/24`;
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = groupsOf(head);
  const rest = tail === undefined ? [] : groupsOf(tail);
  const gap = tail === undefined ? 0 : 8 - groups.length - rest.length;
  const all = [...groups, ...Array.from({ length: gap }, () => "0"), ...rest];
  const prefix = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(":")}::/64`;
}

/** The groups of a part of an IPv6 address. An IPv4 address at its end stands for two, which are behind the network. */
function groupsOf(part: string): string[] {
  return part === "" ? [] : part.split(":").flatMap((group) => (group.includes(".") ? ["0", "0"] : [group]));
}

function readNetwork(text: string): Network | undefined {
  const [, address = "", bits = ""] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = familyOf(address);
  const isNarrowEnough = Number(bits) <= (family === "ipv4" ? 32 : 128);
  return family !== undefined && isNarrowEnough ? { address, bits: Number(bits), family } : undefined;
}

function familyOf(address: string): Network["family"] | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? "ipv4" : "ipv6";
}
