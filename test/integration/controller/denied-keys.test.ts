import { expect } from "vitest";
import { conditionOf, readToken } from "../../support/cluster.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { untilReady, untilReason } from "../../support/resources.ts";

/* The right to create ApiTokens is not the right to create what other controllers take for their own. */

const A_CLUSTER_OF_ARGO = {
  labels: { "argocd.argoproj.io/secret-type": "cluster" },
  data: { name: "mine", server: "https://evil.example.com", config: "{}" },
};

test("a Secret that Argo CD would take for a cluster's credentials is never written, and the ApiToken says why", async ({
  cluster,
  databaseUrl,
}) => {
  await cluster.apply("mallory", { owner: "mallory", secret: A_CLUSTER_OF_ARGO });
  await untilReason(cluster, "mallory", "InvalidSpec");
  expect(conditionOf(await cluster.get("mallory"), "Ready")).toMatchObject({
    status: "False",
    message:
      'spec.secret.labels: the key "argocd.argoproj.io/secret-type" is refused, because other controllers act on it. ' +
      "Remove it from the spec, or have it allowed with the controller's setting APITOKEN_DENIED_SECRET_KEYS.",
  });
  expect(await cluster.getSecret("mallory")).toBeUndefined();
  expect(await findRows(databaseUrl, "mallory")).toEqual([]);

  await cluster.patch("mallory", { secret: { ...A_CLUSTER_OF_ARGO, labels: null } });
  await untilReady(cluster, "mallory");
});

test("whoever runs the controller may allow it; when they no longer do, the token keeps working and can be revoked", async ({
  cluster,
  databaseUrl,
  controller,
}) => {
  await controller.restart({ settings: { APITOKEN_DENIED_SECRET_KEYS: "none" } });
  await cluster.apply("allowed", { owner: "alice", secret: A_CLUSTER_OF_ARGO });
  await untilReady(cluster, "allowed");
  const token = readToken(await cluster.getSecret("allowed"));

  await controller.restart({ settings: { APITOKEN_DENIED_SECRET_KEYS: "default,example.com/*" } });
  await untilReason(cluster, "allowed", "InvalidSpec");
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  expect(readToken(await cluster.getSecret("allowed"))).toBe(token);
  await cluster.apply("extended", { owner: "alice", secret: { annotations: { "example.com/sync": "x" } } });
  await untilReason(cluster, "extended", "InvalidSpec");

  await cluster.patch("allowed", { revoked: true });
  await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false));
});
