/*
 * Every file in gitops/ and examples/ is applied or executed by a test. Whoever adds one adds the test that uses it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const GITOPS = "test/integration/gitops/samples.test.ts";
const KSM = "test/integration/gitops/kube-state-metrics.test.ts";
const EXAMPLES = "test/integration/kube/validation.test.ts";
const ENVOY = "test/integration/verifier/envoy.test.ts";
const GATEWAY = "test/support/verifier/gateway-example.ts";
const DOCS = "test/integration/docs/samples.test.ts";
const BACKENDS = "test/integration/verifier/backends.test.ts";
const API_SERVER = "test/integration/verifier/kube-apiserver.test.ts";

/** Which test uses a file, and the text in it that does so. Of a folder, the text stands for all its files. */
const USES: readonly (readonly [file: string, test: string, text: string])[] = [
  ["gitops/argo-cd/applications.yaml", GITOPS, "argo-cd/applications.yaml"],
  ["gitops/argo-cd/argocd-cm.yaml", GITOPS, "argo-cd/argocd-cm.yaml"],
  ["gitops/flux/kustomizations.yaml", GITOPS, "flux/kustomizations.yaml"],
  ["gitops/kube-state-metrics/alerts.yaml", "test/unit/gitops/kube-state-metrics.test.ts", "alerts.yaml"],
  ["gitops/kube-state-metrics/config.yaml", KSM, "kube-state-metrics/config.yaml"],
  ["gitops/kube-state-metrics/rights.yaml", KSM, "kube-state-metrics/rights.yaml"],
  ["gitops/repository/platform/policies/team-shop.yaml", GITOPS, "platform/policies/team-shop"],
  ["gitops/repository/teams/shop/deployment.yaml", GITOPS, "repository/teams/shop/deployment.yaml"],
  ["gitops/repository/teams/shop/namespace.yaml", GITOPS, "repository/teams/shop/namespace.yaml"],
  ["gitops/repository/teams/shop/orders-token.yaml", GITOPS, "repository/teams/shop/orders-token.yaml"],
  ["gitops/samples/backstage/skeleton/token.yaml", GITOPS, "samples/backstage/skeleton/token.yaml"],
  ["gitops/samples/backstage/template.yaml", GITOPS, "samples/backstage/template.yaml"],
  ["gitops/samples/crossplane/team.yaml", GITOPS, "samples/crossplane/team.yaml"],
  ["gitops/samples/external-secrets/push-secret.yaml", GITOPS, "samples/external-secrets/push-secret.yaml"],
  ["gitops/samples/kyverno/tokens.yaml", GITOPS, "samples/kyverno/tokens.yaml"],
  ["gitops/samples/reloader/deployment.yaml", GITOPS, "samples/reloader/deployment.yaml"],
  ["examples/clamped.yaml", EXAMPLES, '["apply", "-f", examples]'],
  ["examples/deadline.yaml", EXAMPLES, '["apply", "-f", examples]'],
  ["examples/hello.yaml", EXAMPLES, '["apply", "-f", examples]'],
  ["examples/shop.yaml", EXAMPLES, '["apply", "-f", examples]'],
  ["examples/refused/bad-scope.yaml", EXAMPLES, "bad-scope"],
  ["examples/refused/changed-owner.yaml", EXAMPLES, "changed-owner"],
  ["examples/refused/missing-owner.yaml", EXAMPLES, "missing-owner"],
  ["examples/refused/two-lifetimes.yaml", EXAMPLES, "two-lifetimes"],
  ["examples/platform/default-policy.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/platform/mallory.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/platform/open-policy.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/platform/owner-block.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/platform/people-policy.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/platform/team-policy.yaml", DOCS, 'readdirSync("examples/platform")'],
  ["examples/verifier/Caddyfile", GATEWAY, "Caddyfile"],
  ["examples/verifier/backend.py", BACKENDS, "backend.py"],
  ["examples/verifier/backend.ts", BACKENDS, "backend.ts"],
  ["examples/verifier/envoy-grpc.yaml", ENVOY, "envoy-grpc.yaml"],
  ["examples/verifier/envoy-http.yaml", ENVOY, "envoy-http.yaml"],
  ["examples/verifier/gateway-api.yaml", API_SERVER, "gateway-api.yaml"],
  ["examples/verifier/kube-apiserver/kubeadm.yaml", API_SERVER, "kubeadm.yaml"],
  ["examples/verifier/kube-apiserver/readers.yaml", API_SERVER, "readers.yaml"],
  ["examples/verifier/kube-apiserver/service.yaml", API_SERVER, "service.yaml"],
  ["examples/verifier/kube-apiserver/webhook.yaml", API_SERVER, "webhook.yaml"],
  ["examples/verifier/nginx.conf", GATEWAY, "nginx.conf"],
  ["examples/verifier/spring/pom.xml", BACKENDS, "findSpringBackend"],
  ["examples/verifier/spring/src/main/java/orders/Backend.java", BACKENDS, "findSpringBackend"],
  ["examples/verifier/spring/src/main/resources/application.properties", BACKENDS, "findSpringBackend"],
  ["examples/verifier/traefik/routes.yaml", GATEWAY, "traefik/routes.yaml"],
  ["examples/verifier/traefik/traefik.yaml", GATEWAY, "traefik/traefik.yaml"],
];

/** Maven writes into it, where somebody has built the example for Spring. */
const BUILT = "target";

const filesBelow = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, ROOT), { withFileTypes: true })
    .filter(({ name }) => name !== BUILT)
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`]));

const files = ["gitops", "examples"].flatMap(filesBelow).filter((file) => !file.endsWith(".md"));

test.each(files)("%s is used by a test", (file) => {
  const uses = USES.filter(([name]) => name === file);
  expect(uses, "add a test that applies or executes the file, and a line to USES").not.toEqual([]);
  for (const [, name, text] of uses) expect(readFileSync(new URL(name, ROOT), "utf8"), name).toContain(text);
});

test("no line is about a file that is gone", () => {
  expect(USES.map(([file]) => file).filter((file) => !existsSync(new URL(file, ROOT)))).toEqual([]);
});
