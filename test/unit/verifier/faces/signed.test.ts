import { expect, test } from "vitest";
import { wantsIntrospectionJwt } from "../../../../src/verifier/faces/signed.ts";

test.for([
  [undefined, false],
  [["*/*"], false],
  [["application/json"], false],
  [["application/token-introspection+jwt"], true],
  [["Application/Token-Introspection+JWT;q=0.9"], true],
  [["application/json;q=0.5, application/token-introspection+jwt"], true],
  [["application/json", "application/token-introspection+jwt"], true],
  [["application/token-introspection+jwt;q=0"], false],
  [["application/token-introspection+jwt; q=0.00, application/json"], false],
] as const)("the header Accept with %j asks for a JWT: %s", ([accept, expected]) => {
  expect(wantsIntrospectionJwt(accept)).toBe(expected);
});
