import { expect, test } from "vitest";
import { readClient } from "../../../../src/verifier/faces/client-authentication.ts";
import { readForm } from "../../../../src/verifier/faces/form.ts";

const basic = (text: string) => [`Basic ${Buffer.from(text).toString("base64")}`];
const form = (text: string) => readForm(text, "application/x-www-form-urlencoded");

test.each([
  ["HTTP Basic (RFC 6749, 2.3.1)", basic("id:secret"), form(""), { kind: "token", token: "secret" }],
  ["HTTP Basic, form-encoded before", basic("id:a%2Bb+c"), form(""), { kind: "token", token: "a+b c" }],
  ["HTTP Basic with colons in the secret", basic("id:a:b"), form(""), { kind: "token", token: "a:b" }],
  ["client_secret in the form", undefined, form("client_id=a&client_secret=b"), { kind: "token", token: "b" }],
  ["a bearer token (RFC 7662, 2.1)", ["Bearer abc"], form(""), { kind: "token", token: "abc" }],
  ["nothing", undefined, form("token=x"), { kind: "none" }],
  ["two ways at once (RFC 6749, 2.3)", basic("id:secret"), form("client_secret=b"), { kind: "faulty" }],
  ["client_secret twice", undefined, form("client_secret=a&client_secret=b"), { kind: "faulty" }],
  ["HTTP Basic without a colon", basic("secret"), form(""), { kind: "faulty" }],
  ["HTTP Basic without a secret", basic("id:"), form(""), { kind: "faulty" }],
  ["HTTP Basic that cannot be decoded", basic("id:%E0%A4%A"), form(""), { kind: "faulty" }],
  ["HTTP Basic that is not Base64", ["Basic id:secret"], form(""), { kind: "faulty" }],
  ["HTTP Basic without padding", ["Basic aWQ6c2VjcmV0cw"], form(""), { kind: "token", token: "secrets" }],
  [
    "the scheme in other letters (RFC 9110, 11.1)",
    ["bASIC  aWQ6c2VjcmV0cw=="],
    form(""),
    { kind: "token", token: "secrets" },
  ],
])("%s", (_, authorization, body, expected) => {
  expect(readClient(authorization, body)).toEqual(expected);
});
