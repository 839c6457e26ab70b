import { describe, expect, test } from "vitest";
import { buildBlock } from "../../../src/kubectl/people/offboard.ts";
import { formatReview } from "../../../src/kubectl/people/review.ts";
import { anApiToken } from "./builders.ts";

describe("the OwnerBlock of an offboarding", () => {
  const nameOf = (owner: string) => buildBlock(owner, { at: undefined, erase: false, reason: undefined }).metadata.name;

  test.each(["alice@example.com", "shop/orders", "Ä!§", "-", "x".repeat(253)])("has a valid name: %s", (owner) => {
    expect(nameOf(owner)).toMatch(/^[a-z0-9]([a-z0-9-]{0,80}[a-z0-9])?$/);
  });

  test("always has the same name for an owner, and another one for an owner that only looks like it", () => {
    expect(nameOf("shop/orders")).toBe(nameOf("shop/orders"));
    expect(nameOf("shop/orders")).not.toBe(nameOf("shop-orders"));
  });

  test("has only what was asked for", () => {
    expect(buildBlock("a", { at: "2030-01-01T00:00:00Z", erase: true, reason: "left" }).spec).toEqual({
      owner: "a",
      reason: "left",
      effectiveAt: "2030-01-01T00:00:00Z",
      erase: true,
    });
    expect(buildBlock("a", { at: undefined, erase: false, reason: undefined }).spec).toEqual({ owner: "a" });
  });
});

describe("the list for a review", () => {
  const rowOf = (spec: object) => formatReview([anApiToken({ spec })]).split("\r\n")[1];

  test("has a row for each ApiToken, below the titles", () => {
    expect(formatReview([anApiToken()]).split("\r\n")).toEqual([
      "owner,namespace,name,description,requested by,scopes,ready,reason,created,issued,expires,renews,last used,token id,policy",
      "shop/orders,shop,orders,,,orders:read,true,Issued,2026-06-01T12:00:00Z,2026-06-01T12:00:00Z,2026-07-01T12:00:00Z,2026-06-28T12:00:00Z,,aaaaaaaaaaaa,default",
      "",
    ]);
  });

  test("quotes what has commas and quotation marks", () => {
    expect(rowOf({ description: 'for "orders", and more' })).toContain(',"for ""orders"", and more",');
  });

  test.each(["=1+1", "@sum", "+1", "-1"])("has no text that a spreadsheet would run: %s", (owner) => {
    expect(rowOf({ owner })?.startsWith(`'${owner},`)).toBe(true);
  });
});
