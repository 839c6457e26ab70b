import { expect, test } from "vitest";
import { type AppAnswer, FORGED_HEADERS, findFault } from "../../e2e/app-answer.ts";
import { identityOf } from "../../support/verifier/identity.ts";

const TOKEN = { namespace: "shop", name: "orders", scopes: "orders:read" };
const GIVEN = {
  "X-Auth-Owner": "shop/orders",
  "X-Auth-Scopes": "orders:read",
  "X-Auth-Token-Id": "an-id",
  "X-Auth-Namespace": "shop",
  "X-Auth-Name": "orders",
  "X-Auth-Expires-At": "2030-01-01T00:00:00Z",
  "X-Auth-Token-State": "live",
};

/** What the application answers if it was given these headers. */
function answer(headers: Readonly<Record<string, string>>, hasToken = false): AppAnswer {
  return { identity: identityOf(Object.entries(headers).flat()), hasToken };
}

test("the headers of the verifier alone are right", () => {
  expect(findFault(answer(GIVEN), TOKEN)).toBeUndefined();
});

test("a token without scopes is right with an empty header, and without one", () => {
  const { "X-Auth-Scopes": _, ...others } = GIVEN;
  for (const headers of [others, { ...others, "X-Auth-Scopes": "" }]) {
    expect(findFault(answer(headers), { ...TOKEN, scopes: "" })).toBeUndefined();
  }
});

test.each(Object.keys(FORGED_HEADERS))("a forged %s is noticed", (name) => {
  const { [name]: _, ...others } = GIVEN as Readonly<Record<string, string>>;
  expect(findFault(answer({ ...others, [name]: "forged" }), TOKEN)).toMatch(/^forged headers reached .*: forged/);
});

test.each(Object.keys(GIVEN))("a missing %s is noticed", (name) => {
  const { [name]: _, ...others } = GIVEN as Readonly<Record<string, string>>;
  expect(findFault(answer(others), TOKEN)).toContain(name.toLowerCase());
});

test("another token's identity is noticed", () => {
  expect(findFault(answer(GIVEN), { ...TOKEN, name: "other" })).toBe(
    "x-auth-owner is shop/orders instead of shop/other",
  );
});

test("a header that was given twice is noticed", () => {
  expect(findFault(answer({ ...GIVEN, x_auth_owner: "shop/orders" }), TOKEN)).toContain("a header twice");
});

test("a token that was passed on to the application is noticed", () => {
  expect(findFault(answer(GIVEN, true), TOKEN)).toBe("the application was given the token");
});
