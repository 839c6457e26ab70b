import { expect, test } from "vitest";
import { parseSpec } from "../../../../src/kube/resources/api-token.ts";

/* A newer CRD may let in what this controller cannot read. What ends a token is found in spite of it. */

const parse = (spec: unknown) =>
  parseSpec({ metadata: { namespace: "n", name: "a", uid: "u", resourceVersion: "1" }, spec });

test.each([
  ["of an unknown field", { owner: "alice", rotation: { policy: "Sometimes" } }],
  ["of a duration that is none", { owner: "alice", duration: "soon" }],
  ["of a field of another type", { owner: "alice", description: 7 }],
])("a stop is found in a spec that cannot be read because %s", (_why, spec) => {
  expect(parse(spec)).toMatchObject({
    problem: expect.any(String),
    remainder: { isRevoked: false, grantee: { owner: "alice", scopes: [] } },
  });
  expect(parse({ ...spec, revoked: true, revocationReason: "lost\u0007" })).toMatchObject({
    problem: expect.any(String),
    remainder: { isRevoked: true, revocationReason: "lost " },
  });
});

test.each([
  ["the owner", { owner: 7 }],
  ["a scope", { owner: "alice", scopes: [7] }],
  ["the whole spec", null],
])("policies are not asked if %s cannot be read", (_what, spec) => {
  expect(parse(spec)).toMatchObject({ problem: expect.any(String), remainder: { grantee: undefined } });
});
