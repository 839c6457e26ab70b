import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { type ApiToken, parseSpec } from "../../src/kube/resources/api-token.ts";
import { buildApiTokenCrd } from "../../src/kube/resources/crd.ts";

test("crds/ is what `npm run crds` writes", () => {
  const text = readFileSync(new URL("../../crds/apitokens.yaml", import.meta.url), "utf8");
  expect(parse(text)).toEqual(JSON.parse(JSON.stringify(buildApiTokenCrd())));
});

function aResource(spec: unknown): ApiToken {
  return { metadata: { namespace: "ns", name: "demo", uid: "u", resourceVersion: "1" }, spec };
}

test("a spec with an owner alone is read with its defaults", () => {
  expect(parseSpec(aResource({ owner: "alice" })).desired).toMatchObject({
    owner: "alice",
    scopes: [],
    lifetime: { kind: "default" },
    secret: { name: "demo", key: "token", labels: {}, annotations: {} },
    isRevoked: false,
    isSuspended: false,
  });
});

test.each([
  [{}, "spec.owner"],
  [{ owner: "alice", duration: "forever" }, "spec.duration"],
  [{ owner: "alice", scopes: "a" }, "spec.scopes"],
  [{ owner: "alice", expiresAt: "tomorrow" }, "spec.expiresAt"],
  [null, "spec."],
])("a spec that an older CRD let pass, %j, is a problem of %s, not a crash", (spec, field) => {
  const { desired, problem } = parseSpec(aResource(spec));
  expect(desired).toBeUndefined();
  expect(problem).toContain(field);
});
