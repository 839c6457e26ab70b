import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { parse } from "yaml";
import type { TestCluster } from "../../support/cluster.ts";
import { startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest } from "../../support/fixtures.ts";
import { compose, type Manifest, pathOfSample, readSample, toAdmissionPolicy } from "../../support/gitops/samples.ts";
import {
  checkInBackstage,
  hasGitOpsTools,
  installEcosystemCrds,
  renderInBackstage,
} from "../../support/gitops/tools.ts";
import { readProjectFile } from "../../unit/docs/tables.ts";

/** With a controller for the whole cluster, and the namespaces that samples name. */
const test = ownClusterTest
  .extend("controller", { scope: "file", auto: true }, async ({ cluster, databaseUrl }, { onCleanup }) => {
    for (const name of ["shop", "argocd", "flux-system"]) await cluster.kubectl(["create", "namespace", name]);
    const settings = { APITOKEN_WATCH_NAMESPACES: "" };
    const controller = await startTestController(cluster, databaseUrl, { settings, ownsCluster: true });
    onCleanup(() => controller.stop());
  })
  .extend("crds", { scope: "file" }, ({ cluster }) => installEcosystemCrds(cluster));

/** kubectl as an admin, outside the test's namespace: samples name theirs. */
async function apply(cluster: TestCluster, path: string, input?: string): Promise<void> {
  const flags = ["--server-side", "--force-conflicts", "--validate=strict", "--namespace="];
  expect(await cluster.kubectl(["apply", ...flags, "-f", path], input)).toMatchObject({ code: 0 });
}

const applyAll = (cluster: TestCluster, objects: readonly object[]) =>
  apply(cluster, "-", JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));

async function untilTokenIsReady(cluster: TestCluster, namespace: string, name: string): Promise<void> {
  const wait = ["wait", "--for=condition=Ready", "--timeout=30s", `--namespace=${namespace}`, `apitoken/${name}`];
  expect(await cluster.kubectl(wait)).toMatchObject({ code: 0 });
}

describe("a repository's layout", () => {
  test("applied in the order of its waves gives the team a token under its policy", async ({ cluster }) => {
    await apply(cluster, pathOfSample("repository/teams/shop/namespace.yaml"));
    await apply(cluster, pathOfSample("repository/platform/policies"));
    await apply(cluster, pathOfSample("repository/teams/shop/orders-token.yaml"));
    await untilTokenIsReady(cluster, "shop", "orders");
    const { output } = await cluster.kubectl(["get", "apitoken", "orders", "--namespace=shop", "-o", "json"]);
    expect(JSON.parse(output).status).toMatchObject({ policy: "team-shop", secretName: "orders-api" });
    await apply(cluster, pathOfSample("repository/teams/shop/deployment.yaml"));
  });

  test("has waves in which everything comes after what it needs", () => {
    const waves = [
      "platform/policies/team-shop",
      "teams/shop/namespace",
      "teams/shop/orders-token",
      "teams/shop/deployment",
    ]
      .flatMap((file) => readSample(`repository/${file}.yaml`))
      .map(({ metadata }) => (metadata as { annotations?: Record<string, string> }).annotations)
      .map((annotations) => Number(annotations?.["argocd.argoproj.io/sync-wave"]));
    expect(waves).toEqual([-2, -2, -1, 0]);
  });
});

test("Argo CD's ConfigMap gets our keys, and keeps those of others", async ({ cluster }) => {
  const other = [
    "create",
    "configmap",
    "argocd-cm",
    "--namespace=argocd",
    "--from-literal=url=https://argocd.example.com",
  ];
  expect(await cluster.kubectl(other)).toMatchObject({ code: 0 });
  await apply(cluster, pathOfSample("argo-cd/argocd-cm.yaml"));
  const { output } = await cluster.kubectl(["get", "configmap", "argocd-cm", "--namespace=argocd", "-o", "json"]);
  const keys = Object.keys(JSON.parse(output).data).map((key) => key.replace("resource.customizations.", ""));
  expect(keys.sort()).toEqual([
    "actions.apitoken.dev_ApiToken",
    "health.apitoken.dev_ApiToken",
    "health.apitoken.dev_ApiTokenPolicy",
    "health.apitoken.dev_OwnerBlock",
    "ignoreDifferences.apitoken.dev_ApiToken",
    "url",
  ]);
});

describe.skipIf(!hasGitOpsTools)("the tool's own CRD accepts", () => {
  test.for([
    "argo-cd/applications.yaml",
    "flux/kustomizations.yaml",
    "samples/crossplane/team.yaml",
    "samples/external-secrets/push-secret.yaml",
  ])("%s", async (file, { cluster, crds: _ }) => apply(cluster, pathOfSample(file)));

  test("the policy for Kyverno", async ({ cluster, crds: _ }) => {
    await apply(cluster, pathOfSample("samples/kyverno/tokens.yaml"));
  });
});

test("the Secret that External Secrets copies, and that Reloader watches, is there", async ({ cluster }) => {
  const tokens = ["external-secrets/push-secret", "reloader/deployment"]
    .flatMap((file) => readSample(`samples/${file}.yaml`))
    .filter(({ kind }) => kind === "ApiToken");
  await applyAll(cluster, tokens);
  for (const { metadata, spec } of tokens) {
    await untilTokenIsReady(cluster, "shop", metadata?.name ?? "");
    const name = (spec.secret as { name: string }).name;
    expect(await cluster.kubectl(["get", "secret", name, "--namespace=shop"])).toMatchObject({ code: 0 });
  }
  const [, push] = readSample("samples/external-secrets/push-secret.yaml");
  expect(push?.spec).toMatchObject({ selector: { secret: { name: "orders-api" } } });
  await apply(cluster, pathOfSample("samples/reloader/deployment.yaml"));
});

test("Crossplane's composition makes a team with a policy and a token", async ({ cluster }) => {
  const [definition, composition] = readSample("samples/crossplane/team.yaml");
  expect(definition?.spec).toMatchObject({ names: { kind: "Team" } });
  const team = { spec: { name: "search", scopes: ["orders:read"] } };
  for (const object of compose(composition as Manifest, team)) await applyAll(cluster, [object]);
  await untilTokenIsReady(cluster, "search", "team");
  const { output } = await cluster.kubectl(["get", "apitoken", "team", "--namespace=search", "-o", "json"]);
  expect(JSON.parse(output)).toMatchObject({
    spec: { owner: "search" },
    status: { policy: "team-search", effective: { duration: "168h", scopes: ["orders:read"] } },
  });
});

describe.skipIf(!hasGitOpsTools)("Backstage", () => {
  const [template] = readSample("samples/backstage/template.yaml") as [Manifest];
  const parameters = { namespace: "shop", name: "billing", scopes: ["orders:read"], duration: "24h" };

  test("accepts the template, and would find a step without an action", async () => {
    expect(await checkInBackstage(template)).toBe(true);
    const steps = (template.spec.steps as object[]).map((step) => ({ ...step, action: undefined }));
    const broken = JSON.parse(JSON.stringify({ ...template, spec: { ...template.spec, steps } }));
    await expect(checkInBackstage(broken)).rejects.toThrow("must have required property 'action'");
  });

  test("makes an ApiToken from what its form asks for", async ({ cluster }) => {
    const [form] = template.spec.parameters as { required: string[]; properties: object }[];
    expect(form?.required).toEqual(Object.keys(parameters));
    expect(Object.keys(form?.properties ?? {})).toEqual(Object.keys(parameters));
    const [fetch] = template.spec.steps as { input: { targetPath: string; values: Record<string, string> } }[];
    const { targetPath = "", values = {} } = fetch?.input ?? {};
    expect(renderInBackstage(targetPath, { parameters })).toBe("teams/shop/billing");
    // A value that is nothing but an expression keeps its type.
    const given = Object.entries(values).map(([name, expression]) => {
      expect(expression).toBe(`\${{ parameters.${name} }}`);
      return [name, parameters[name as keyof typeof parameters]] as const;
    });
    const skeleton = readFileSync(pathOfSample("samples/backstage/skeleton/token.yaml"), "utf8");
    await apply(cluster, "-", renderInBackstage(skeleton, { values: Object.fromEntries(given) }));
    await untilTokenIsReady(cluster, "shop", "billing");
  });
});

test("the API server accepts the examples that Artifact Hub shows", async ({ cluster }) => {
  const chart = readFileSync(new URL("../../../charts/apitoken-operator/Chart.yaml", import.meta.url), "utf8");
  const { annotations } = parse(chart) as { annotations: Record<string, string> };
  const items = parse(annotations["artifacthub.io/crdsExamples"] ?? "");
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  const flags = ["--dry-run=server", "--validate=strict", "--namespace="];
  expect(await cluster.kubectl(["apply", ...flags, "-f", "-"], list)).toMatchObject({ code: 0 });
});

test("kubectl lists all kinds and waits for a condition of each, with the commands of docs/gitops.md", async ({
  cluster,
}) => {
  const [, section = ""] = readProjectFile("docs/gitops.md").split("\n## kubectl\n");
  const [, block = ""] = /```console\n(.*?)```/s.exec(section) ?? [];
  const commands = [...block.matchAll(/^\$ kubectl ([^#\n]*)/gm)].map(([, args = ""]) => args.trim().split(/ +/));
  expect(commands.map(([verb]) => verb).sort()).toEqual(["-n", "get", "wait", "wait"]);
  const ownerBlock = {
    apiVersion: "apitoken.dev/v1alpha1",
    kind: "OwnerBlock",
    metadata: { name: "mallory-has-left" },
  };
  await applyAll(cluster, [{ ...ownerBlock, spec: { owner: "mallory", reason: "has left" } }]);
  for (const file of ["platform/policies/team-shop", "teams/shop/namespace", "teams/shop/orders-token"]) {
    await apply(cluster, pathOfSample(`repository/${file}.yaml`));
  }
  const outputs = [];
  for (const args of commands) {
    const result = await cluster.kubectl(args);
    expect(result, args.join(" ")).toMatchObject({ code: 0 });
    outputs.push(result.output);
  }
  const met = outputs.flatMap((output) => output.match(/^\w+(?=\.apitoken\.dev\/\S+ condition met$)/gm) ?? []);
  expect(met.sort()).toEqual(["apitoken", "apitokenpolicy", "ownerblock"]);
});

test("the columns of policies and blocks show what they are about", async ({ cluster }) => {
  const columns = async (kind: string, name: string) => {
    const { output } = await cluster.kubectl(["get", kind, name]);
    const [names = "", values = ""] = output.split("\n").map((line) => line.trim().split(/ {2,}/));
    return Object.fromEntries([...names].map((column, index) => [column, values[index]]));
  };
  const policy = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiTokenPolicy", metadata: { name: "columns" } };
  const block = { apiVersion: "apitoken.dev/v1alpha1", kind: "OwnerBlock", metadata: { name: "columns" } };
  await applyAll(cluster, [
    { ...policy, spec: { priority: 1, namespaceSelector: { matchLabels: { team: "nobody" } } } },
    { ...block, spec: { owner: "nobody/at-all" } },
  ]);
  await eventually(async () => {
    const shown = { ACCEPTED: "True", PRIORITY: "1", NAMESPACES: "0", APITOKENS: "0" };
    expect(await columns("apitokenpolicy", "columns")).toMatchObject(shown);
    const effect = { OWNER: "nobody/at-all", EFFECTIVE: "True", REASON: "NothingMatched" };
    expect(await columns("ownerblock", "columns")).toMatchObject(effect);
  });
});

// Last, because its rules are for every ApiToken.
test("Kyverno's policy lets each user have tokens of their own, for a stated time, without scopes of admins", async ({
  cluster,
}) => {
  const [policy] = readSample("samples/kyverno/tokens.yaml");
  await applyAll(cluster, toAdmissionPolicy(policy as Manifest));
  const tryAs = (user: string, spec: object) =>
    cluster.kubectl(
      ["create", "--dry-run=server", "--as", user, "--as-group", "system:masters", "-f", "-"],
      JSON.stringify({ apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", metadata: { name: "tried" }, spec }),
    );
  const alice = "oidc:alice@example.com";
  const good = { owner: "alice@example.com", duration: "24h", scopes: ["orders:read"] };
  await eventually(async () =>
    expect((await tryAs(alice, { ...good, owner: "bob" })).output).toContain("spec.owner is bob"),
  );
  expect(await tryAs(alice, good)).toMatchObject({ code: 0 });
  expect(await tryAs("system:serviceaccount:shop:deployer", { ...good, owner: "shop/orders" })).toMatchObject({
    code: 0,
  });
  expect((await tryAs("system:serviceaccount:shop:deployer", good)).output).toContain("tokens of shop only");
  expect((await tryAs("root", good)).output).toContain("tokens of nobody");
  expect((await tryAs(alice, { owner: good.owner })).output).toContain("spec.duration is missing");
  expect((await tryAs(alice, { ...good, scopes: ["admin:all"] })).output).toContain("no scope may begin with admin:");
  // What the controller does to a token that the rules would refuse now is not refused.
  expect(await cluster.kubectl(["annotate", "apitoken", "team", "--namespace=search", "a=b"])).toMatchObject({
    code: 0,
  });
});
