import { expect, test } from "vitest";
import { isSecretsPath } from "../../../src/kube/api-error.ts";

test.each([
  ["one Secret", "/api/v1/namespaces/shop/secrets/orders", true],
  ["the Secrets of a namespace", "/api/v1/namespaces/shop/secrets?labelSelector=a", true],
  ["all Secrets", "/api/v1/secrets", true],
  ["a Secret in a namespace called secrets", "/api/v1/namespaces/secrets/secrets/orders", true],
  [
    "an ApiToken in a namespace called secrets",
    "/apis/apitoken.dev/v1alpha1/namespaces/secrets/apitokens/orders",
    false,
  ],
  ["a ConfigMap in a namespace called secrets", "/api/v1/namespaces/secrets/configmaps/orders", false],
  ["a namespace called secrets", "/api/v1/namespaces/secrets", false],
  ["a resource of another group that begins so", "/apis/example.com/v1/namespaces/shop/secretstores/orders", false],
])("the path of %s is recognised", (_, path, expected) => {
  expect(isSecretsPath(path)).toBe(expected);
});
