import { describe, expect, test } from "vitest";
import { explainRefusal, type RefusalStatus, readReason } from "../../../src/kube/refusal.ts";
import { createToken } from "../../../src/token/token-string.ts";

const { plaintext } = createToken();
const webhook = "secrets.guard.example.com";

describe("a call for a Secret that was refused is explained", () => {
  test.each<[string, string, string]>([
    [
      "by a webhook's name",
      `admission webhook "${webhook}" denied the request: ${plaintext}`,
      `"${webhook}" denied it`,
    ],
    [
      "by the name of one that is down",
      `Internal error occurred: failed calling webhook "${webhook}": failed to call webhook: Post "https://127.0.0.1:1/": dial tcp: connection refused`,
      `admission webhook "${webhook}" cannot be called`,
    ],
    [
      "by a quota's name",
      'secrets "a" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=3, limited: count/secrets=3',
      'ResourceQuota "few" is exhausted',
    ],
    [
      "by a policy's name",
      `secrets "a" is forbidden: ValidatingAdmissionPolicy 'no-secrets' with binding 'all' denied request: ${plaintext}`,
      'ValidatingAdmissionPolicy "no-secrets" denied it',
    ],
    [
      "by the name of one that changes objects",
      "secrets \"a\" is forbidden: MutatingAdmissionPolicy 'marks' with binding 'all' denied request: no such key",
      'admission policy "marks" denied it',
    ],
    [
      "by a right that is missing",
      'secrets is forbidden: User "system:serviceaccount:a:b" cannot create resource "secrets" in API group "" in the namespace "c"',
      "the controller lacks the right to do so",
    ],
    [
      "by the end of the namespace",
      'secrets "a" is forbidden: unable to create new content in namespace c because it is being terminated',
      "the namespace is being deleted",
    ],
  ])("%s, and nothing else is quoted", (_, message, explanation) => {
    const text = explainRefusal({ reason: "Forbidden", message }, true);
    expect(text).toContain(explanation);
    expect(text).not.toContain(plaintext);
    expect(text?.length).toBeLessThan(400);
  });

  test.each<[string, RefusalStatus, string | undefined]>([
    ["nothing at all", {}, undefined],
    ["causes without a field", { details: { causes: [{}, { reason: "FieldValueInvalid" }] } }, "FieldValueInvalid"],
    ["a field without a reason", { details: { causes: [{ field: "data" }] } }, "data"],
    [
      "a field with its reason",
      { details: { causes: [{ field: "data[a]", reason: "FieldValueTooLong" }] } },
      "data[a] (FieldValueTooLong)",
    ],
    ["causes in a text", { details: { causes: "many" as never } }, undefined],
    ["a token as field", { details: { causes: [{ field: plaintext, reason: plaintext }] } }, undefined],
    ["a message of its own", { message: `I saw ${plaintext}` }, undefined],
  ])("by its fields alone, if the answer has %s", (_, status, text) => {
    expect(explainRefusal(status, true)).toBe(text);
  });
});

describe("a call for anything else that was refused is explained", () => {
  test("by the server's message, in one line and bounded", () => {
    const text = explainRefusal({ message: `spec.owner: no\u001b[31m\n${"x".repeat(2_000)}` }, false);
    expect(text).toMatch(/^spec.owner: no \[31m x+$/);
    expect(text).toHaveLength(500);
  });

  test("by the webhook alone if one is down, because the rest of the message is never twice the same", () => {
    const message = `Internal error occurred: failed calling webhook "${webhook}": read tcp 10.0.0.1:45678: reset`;
    expect(explainRefusal({ message }, false)).toBe(`admission webhook "${webhook}" cannot be called`);
  });
});

test.each([
  ["Forbidden", "Forbidden"],
  [undefined, "Unknown"],
  ["", "Unknown"],
  [plaintext, "Unknown"],
  [42, "Unknown"],
])("the reason %j is reported as %s", (reason, expected) => expect(readReason({ reason })).toBe(expected));
