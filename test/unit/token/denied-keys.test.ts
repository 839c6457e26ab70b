import { describe, expect, test } from "vitest";
import { DEFAULT_DENIED_KEYS, refuseDeniedKeys } from "../../../src/token/denied-keys.ts";
import type { DesiredSecret } from "../../../src/token/model.ts";
import { aDesiredSecret, aDesiredToken } from "../../support/builders.ts";

const problemOf = (secret: Partial<DesiredSecret>, denied = DEFAULT_DENIED_KEYS) =>
  refuseDeniedKeys({ desired: aDesiredToken({ secret: aDesiredSecret(secret) }) }, denied).problem;

describe("by default", () => {
  test.each([
    { labels: { "argocd.argoproj.io/secret-type": "cluster" } },
    { labels: { "sealedsecrets.bitnami.com/sealed-secrets-key": "active" } },
    { annotations: { "reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true" } },
    { annotations: { "replicator.v1.mittwald.de/replicate-to": "*" } },
    { labels: { "istio/multiCluster": "true" } },
    { labels: { grafana_datasource: "1" } },
    { labels: { "kustomize.toolkit.fluxcd.io/name": "apps" } },
    { annotations: { "meta.helm.sh/release-name": "x" } },
    { labels: { owner: "helm" } },
    { annotations: { "velero.io/exclude-from-backup": "true" } },
    { labels: { "cluster.x-k8s.io/cluster-name": "prod" } },
    { annotations: { "cert-manager.io/allow-direct-injection": "true" } },
    { labels: { "reconcile.external-secrets.io/managed": "true" } },
  ])("what other controllers act on is refused: %j", (secret) => {
    const [place, keys] = Object.entries(secret)[0] as [string, object];
    expect(problemOf(secret)).toContain(`spec.secret.${place}: the key "${Object.keys(keys)[0]}" is refused`);
  });

  test.each([
    {},
    { labels: { team: "shop", owner: "shop", "example.com/owner": "helm" } },
    { annotations: { owner: "helm", "secret.reloader.stakater.com/reload": "orders-api" } },
    { data: { owner: "helm", grafana_datasource: "1" }, key: "grafana_dashboard" },
  ])("everything else is allowed: %j", (secret) => {
    expect(problemOf(secret)).toBeUndefined();
  });
});

describe("an entry", () => {
  const secret = { labels: { "a.io/x": "1" }, annotations: { "a.io/y": "2" }, data: { "a.io": "3" }, key: "k" };

  test.each([
    ["a.io/*", "spec.secret.labels"],
    ["a.io/y", "spec.secret.annotations"],
    ["annotation:a.io/*", "spec.secret.annotations"],
    ["label:a.io/*=1", "spec.secret.labels"],
    ["data:a.*", "spec.secret.data"],
    ["data:k", "spec.secret.key"],
    ["*", "spec.secret.labels"],
  ])("%s refuses what it names", (entry, field) => {
    expect(problemOf(secret, [entry])).toMatch(new RegExp(`^${field}: the key`));
  });

  test.each(["a.io", "a.i", "a.io/*=1x", "label:a.io/y", "annotation:a.io/x", "label:a.io/x=2", "data:a.io/x", "k"])(
    "%s leaves alone what it does not name",
    (entry) => {
      expect(problemOf(secret, [entry])).toBeUndefined();
    },
  );
});

test("a spec that is refused can still be revoked, and be judged by its policy", () => {
  const desired = aDesiredToken({ secret: aDesiredSecret({ key: "x" }), isRevoked: true, revocationReason: "left" });
  expect(refuseDeniedKeys({ desired }, ["data:x"]).remainder).toEqual({
    isRevoked: true,
    revocationReason: "left",
    grantee: { owner: "alice", scopes: [] },
  });
});

test("a spec that cannot be read stays as it is", () => {
  expect(refuseDeniedKeys({ problem: "no" }, ["*"])).toEqual({ problem: "no" });
});
