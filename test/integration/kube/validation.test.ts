import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { clusterTest as test } from "../../support/fixtures.ts";

const owner = "alice";
const long = (length: number) => "x".repeat(length);

describe("the API server refuses, naming the field and the remedy", () => {
  test.for<[string, object, string, string]>([
    ["no owner", {}, "spec", "such as owner: shop/orders"],
    ["an empty owner", { owner: "" }, "spec.owner", "at least 1 char"],
    ["an owner with spaces", { owner: "al ice" }, "spec.owner", "without spaces"],
    ["an owner that is too long", { owner: long(254) }, "spec.owner", "253"],
    ["both duration and expiresAt", { owner, duration: "1h", expiresAt: "2099-01-01T00:00:00Z" }, "spec", "remove one"],
    ["a duration that is not valid", { owner, duration: "1 month" }, "spec.duration", "such as 720h"],
    ["a duration under ten seconds", { owner, duration: "9s" }, "spec.duration", "from 10s to 876000h"],
    ["a negative duration", { owner, duration: "-1h" }, "spec.duration", "such as 720h"],
    ["a duration beyond all numbers", { owner, duration: "99999999999999999h" }, "spec.duration", "duration"],
    ["an end that is not a time", { owner, expiresAt: "tomorrow" }, "spec.expiresAt", "date-time"],
    ["a bad scope", { owner, scopes: ["all of it"] }, "spec.scopes[0]", "such as orders:read"],
    ["a scope twice", { owner, scopes: ["a", "a"] }, "spec.scopes[1]", "Duplicate value"],
    ["too many scopes", { owner, scopes: Array.from({ length: 65 }, (_, n) => `s${n}`) }, "spec.scopes", "64"],
    ["a description that is too long", { owner, description: long(257) }, "spec.description", "256"],
    ["a bad Secret name", { owner, secret: { name: "Not_A_Name" } }, "spec.secret.name", "DNS subdomain"],
    ["a bad Secret key", { owner, secret: { key: "a/b" } }, "spec.secret.key", "letters, digits"],
    [
      "a reserved label",
      { owner, secret: { labels: { "apitoken.dev/managed": "no" } } },
      "spec.secret.labels",
      "prefix of your own",
    ],
    [
      "a label of Kubernetes",
      { owner, secret: { labels: { "app.kubernetes.io/name": "x" } } },
      "spec.secret.labels",
      "prefix of your own",
    ],
    ["a label that is not valid", { owner, secret: { labels: { team: "a b" } } }, "spec.secret.labels", "label values"],
    [
      "a label key that is not valid",
      { owner, secret: { labels: { "a b": "x" } } },
      "spec.secret.labels",
      "qualified names",
    ],
    [
      "a reserved annotation",
      { owner, secret: { annotations: { "x.k8s.io/a": "b" } } },
      "spec.secret.annotations",
      "prefix of your own",
    ],
    ["a revocation that is not a boolean", { owner, revoked: "yes" }, "spec.revoked", "boolean"],
  ])("%s", async ([_, spec, field, remedy], { cluster }) => {
    const manifest = {
      apiVersion: "apitoken.dev/v1alpha1",
      kind: "ApiToken",
      metadata: { name: "bad" },
      spec,
    };
    const { code, output } = await cluster.kubectl(["apply", "--validate=false", "-f", "-"], JSON.stringify(manifest));
    expect(output).toContain(field);
    expect(output).toContain(remedy);
    expect(code).toBe(1);
    expect(await cluster.get("bad")).toBeUndefined();
  });

  test.for<[string, object, object, string, string]>([
    ["a changed owner", { owner, revoked: false }, { owner: "mallory" }, "spec.owner", "create another ApiToken"],
    ["a revocation set back", { owner, revoked: true }, { revoked: false }, "spec", "create another ApiToken"],
    ["a revocation taken out", { owner, revoked: true }, { revoked: null }, "spec", "create another ApiToken"],
  ])("%s", async ([sentence, before, change, field, remedy], { cluster }) => {
    const name = sentence.replaceAll(" ", "-");
    await cluster.apply(name, before);
    const patch = JSON.stringify({ spec: change });
    const { code, output } = await cluster.kubectl(["patch", "apitoken", name, "--type=merge", "-p", patch]);
    expect(output).toContain(field);
    expect(output).toContain(remedy);
    expect(code).toBe(1);
  });

  test("a field that does not exist, even in kubectl", async ({ cluster }) => {
    const manifest = {
      apiVersion: "apitoken.dev/v1alpha1",
      kind: "ApiToken",
      metadata: { name: "typo" },
      spec: { owner, scope: [] },
    };
    const { code, output } = await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(manifest));
    expect(output).toContain('unknown field "spec.scope"');
    expect(code).toBe(1);
  });
});

describe("the API server takes", () => {
  test.for<[string, object]>([
    ["an e-mail address as owner", { owner: "team-a@example.com" }],
    ["a service account as owner", { owner: "system:serviceaccount:shop:front" }],
    ["scopes with several parts", { owner, scopes: ["orders:read", "a.b/c:*", "admin"] }],
    ["durations of several units", { owner, duration: "1h30m" }],
    ["an end with an offset", { owner, expiresAt: "2099-01-01T00:00:00+02:00" }],
  ])("%s", async ([sentence, spec], { cluster }) => {
    const name = sentence.replaceAll(" ", "-").toLowerCase();
    expect(await cluster.apply(name, spec)).toMatchObject({
      spec: { ...spec, revoked: false, secret: { key: "token" } },
    });
  });
});

test("every example is accepted unchanged, and every refused one is refused", async ({ cluster }) => {
  const examples = fileURLToPath(new URL("../../../examples/", import.meta.url));
  expect(await cluster.kubectl(["apply", "-f", examples])).toMatchObject({ code: 0 });
  for (const name of ["missing-owner", "two-lifetimes", "bad-scope", "changed-owner"]) {
    expect((await cluster.kubectl(["apply", "-f", `${examples}refused/${name}.yaml`])).code).toBe(1);
  }
});
