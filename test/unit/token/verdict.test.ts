import { describe, expect, test } from "vitest";
import { judgeToken, type TokenRequest } from "../../../src/token/verdict.ts";
import { aTokenRow, HOUR_MS, later, NOW } from "../../support/builders.ts";

const GRACE = { periodMs: HOUR_MS, scopes: ["read", "never granted"] };
const SCOPES = ["read", "write"];
const judge = (row: Parameters<typeof aTokenRow>[0], request: TokenRequest = {}) =>
  judgeToken(aTokenRow({ scopes: SCOPES, ...row }), { now: NOW, isOwnerBlocked: false }, request);

const ACTIVE = { kind: "active", scopes: SCOPES, isInGrace: false };
const IN_GRACE = { kind: "active", scopes: ["read"], isInGrace: true };
const inactive = (why: string) => ({ kind: "inactive", why });

describe("by time, a token is", () => {
  test.each([
    ["active before its expiry", { expiresAt: later(1) }, ACTIVE],
    ["expired at its expiry", { expiresAt: NOW }, inactive("Expired")],
    ["active before its revocation", { revokedAt: later(1) }, ACTIVE],
    ["revoked at its revocation", { revokedAt: NOW }, inactive("Revoked")],
    ["active for its grace scopes at its expiry", { expiresAt: NOW, grace: GRACE }, IN_GRACE],
    ["active for its grace scopes until the grace is over", { expiresAt: later(1 - HOUR_MS), grace: GRACE }, IN_GRACE],
    ["expired at the end of its grace", { expiresAt: later(-HOUR_MS), grace: GRACE }, inactive("Expired")],
    [
      "active for its grace scopes before its revocation",
      { expiresAt: NOW, revokedAt: later(1), grace: GRACE },
      IN_GRACE,
    ],
    ["revoked in its grace", { expiresAt: later(-2), revokedAt: NOW, grace: GRACE }, inactive("Revoked")],
    ["revoked at its expiry", { expiresAt: NOW, revokedAt: NOW }, inactive("Revoked")],
    ["expired, if it was revoked later", { expiresAt: later(-2), revokedAt: later(-1) }, inactive("Expired")],
    ["revoked, if it expired later", { expiresAt: later(-1), revokedAt: later(-2) }, inactive("Revoked")],
  ])("%s", (_, row, verdict) => expect(judge(row)).toEqual(verdict));
});

describe("by scope, a token is", () => {
  test.each([
    ["active where none is needed", {}, [], ACTIVE],
    ["active where all it has are needed", {}, ["write", "read"], ACTIVE],
    ["inactive where one is missing", {}, ["read", "delete"], inactive("ScopeMissing")],
    ["inactive for a wildcard that it does not have literally", {}, ["*"], inactive("ScopeMissing")],
    ["active in grace for a grace scope", { expiresAt: NOW, grace: GRACE }, ["read"], IN_GRACE],
    ["inactive in grace for its other scopes", { expiresAt: NOW, grace: GRACE }, ["write"], inactive("ScopeMissing")],
    [
      "inactive for a grace scope that it was never granted",
      { expiresAt: NOW, grace: GRACE },
      ["never granted"],
      inactive("ScopeMissing"),
    ],
    [
      "inactive in a grace without scopes",
      { expiresAt: NOW, grace: { periodMs: 1, scopes: [] } },
      ["read"],
      inactive("ScopeMissing"),
    ],
  ])("%s", (_, row, scopes, verdict) => expect(judge(row, { scopes })).toEqual(verdict));
});

describe("by address, a token for", () => {
  test.each([
    ["any address", [], "192.0.2.1", true],
    ["a network, from its first address", ["10.0.0.0/8"], "10.0.0.0", true],
    ["a network, from its last address", ["10.0.0.0/8"], "10.255.255.255", true],
    ["a network, from the address after it", ["10.0.0.0/8"], "11.0.0.0", false],
    ["one address, from it", ["10.0.0.1/32"], "10.0.0.1", true],
    ["one address, from the next", ["10.0.0.1/32"], "10.0.0.2", false],
    ["all of IPv4, from IPv6", ["0.0.0.0/0"], "2001:db8::1", false],
    ["all of IPv4, from any of it", ["0.0.0.0/0"], "203.0.113.9", true],
    ["two networks, from the second", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8:ffff::1", true],
    ["an IPv6 network, from outside", ["2001:db8::/32"], "2001:db9::1", false],
    ["an IPv4 network, from an address in its IPv6 form", ["10.0.0.0/8"], "::ffff:10.0.0.1", true],
    ["a network, from what is not an address", ["10.0.0.0/8"], "localhost", false],
    ["a network, from an empty address", ["10.0.0.0/8"], "", false],
    ["what is not a CIDR", ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "x/8", "2001:db8::/129"], "10.0.0.0", false],
    ["a network next to what is not a CIDR", ["x/8", "10.0.0.0/8"], "10.0.0.0", true],
  ])("%s", (_, allowedCidrs, address, isAllowed) => {
    expect(judge({ allowedCidrs }, { address })).toEqual(isAllowed ? ACTIVE : inactive("AddressNotAllowed"));
  });

  test("some networks, without an address to check", () => {
    expect(judge({ allowedCidrs: ["10.0.0.0/8"] })).toEqual(ACTIVE);
  });
});

test.each([
  ["its end", { expiresAt: NOW, allowedCidrs: ["10.0.0.0/8"] }, "Expired"],
  ["a wrong address", { allowedCidrs: ["10.0.0.0/8"] }, "AddressNotAllowed"],
])("%s is reported before anything else that is wrong", (_, row, why) => {
  expect(judge(row, { address: "192.0.2.1", scopes: ["delete"] })).toEqual(inactive(why));
});

test("a block on the owner counts before it has ended the token", () => {
  const verdict = judgeToken(aTokenRow(), { now: NOW, isOwnerBlocked: true }, {});
  expect(verdict).toEqual({ kind: "inactive", why: "OwnerBlocked" });
});
