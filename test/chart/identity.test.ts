import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { anApiTokenBody, connectCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

/* With admission.identity a person has tokens for themselves alone, and who asked for a token is on record. */

const MUTATING = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];
const RELEASE = "identity";
const REQUESTER = "apitoken.dev/requested-by";

/** A user, as kubectl's flags for impersonation. */
const as = (user: string, ...groups: string[]) => ["--as", user, ...groups.flatMap((group) => ["--as-group", group])];

const ALICE = as("oidc:alice", "people");
const BOB = as("oidc:bob", "people");
const GITOPS = as("system:serviceaccount:argocd:controller");
const OFFICE = as("oidc:carol", "token-office");

/** Installs policies for one namespace, because other tests share the API server. */
async function install(cluster: TestCluster, policies: readonly Rendered[]): Promise<void> {
  const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": cluster.namespace } };
  const narrowed = policies.map((object) =>
    object.kind.endsWith("Binding")
      ? { ...object, spec: { ...object.spec, matchResources: { namespaceSelector } } }
      : object,
  );
  expect(await applyObjects(narrowed)).toMatchObject({ code: 0, stderr: "" });
}

describe.skipIf(tools.helm === undefined)("with admission.identity", () => {
  let cluster: TestCluster;
  let objects: Rendered[] = [];

  const kubectl = (who: readonly string[], args: readonly string[], input?: object) =>
    cluster.kubectl([...args, ...who], input && JSON.stringify(input));
  const create = (who: readonly string[], name: string, spec: object, annotations: object = {}) => {
    const { metadata, ...body } = anApiTokenBody(cluster.namespace, name, spec);
    return kubectl(who, ["create", "-f", "-"], { ...body, metadata: { ...metadata, annotations } });
  };
  const requesterOf = async (name: string) => (await cluster.get(name))?.metadata.annotations?.[REQUESTER];

  beforeAll(async () => {
    cluster = await connectCluster();
    const identity = {
      enabled: true,
      usernamePrefix: "oidc:",
      exemptUsers: ["system:serviceaccount:argocd:controller"],
      exemptGroups: ["token-office", "system:masters"],
    };
    const values = { devPostgres: { enabled: true }, admission: { identity } };
    const all = await renderChart(values, { namespace: cluster.namespace, release: RELEASE, args: MUTATING });
    objects = all.filter(({ kind, metadata }) => /Admission/.test(kind) && /identity$|requester$/.test(metadata.name));
    expect(objects.map(({ kind }) => kind).sort()).toEqual([
      "MutatingAdmissionPolicy",
      "MutatingAdmissionPolicyBinding",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionPolicyBinding",
      "ValidatingAdmissionPolicyBinding",
    ]);
    await install(cluster, objects);
    // The rights of the chart's role; the policies are about what RBAC cannot express.
    const grant = ["create", "rolebinding", "everyone", "--clusterrole=cluster-admin"];
    const everyone = ["--group=system:authenticated"];
    expect(await cluster.kubectl([...grant, ...everyone])).toMatchObject({ code: 0 });
    // An API server takes a moment to hear of a policy.
    await eventually(async () =>
      expect((await create(ALICE, "probe", { owner: "bob" })).output).toContain("spec.owner is bob: "),
    );
    await eventually(async () => {
      await cluster.kubectl(["delete", "apitoken", "probe", "--ignore-not-found"]);
      await create(ALICE, "probe", { owner: "alice" });
      expect(await requesterOf("probe")).toBe("oidc:alice");
    });
  });
  afterAll(async () => {
    for (const { kind, metadata } of objects) await cluster.kubectl(["delete", kind, metadata.name]);
    await cluster?.close();
  });

  test("the API server accepts the types of the expressions", async () => {
    for (const { kind, metadata } of objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicy")) {
      const { output } = await cluster.kubectl(["get", kind, metadata.name, "-o", "json"]);
      expect(JSON.parse(output).status?.typeChecking?.expressionWarnings ?? []).toEqual([]);
    }
  });

  test.each([
    ["a person for themselves", ALICE, "alice", "alices"],
    ["a GitOps controller that is exempt, for anyone", GITOPS, "bob", "bobs"],
    ["a member of an exempt group, for anyone", OFFICE, "dave", "daves"],
  ])("%s may create an ApiToken", async (_who, who, owner, name) => {
    expect(await create(who, name, { owner })).toMatchObject({ code: 0 });
  });

  test.each([
    ["a person for another", ALICE, "bob", "only ApiTokens with spec.owner alice"],
    ["a person for a name that contains theirs", ALICE, "alice2", "only ApiTokens with spec.owner alice"],
    ["a workload's account", as("system:serviceaccount:shop:web"), "web", 'which does not begin with "oidc:"'],
    ["a user without the prefix, whose name is the owner's", as("alice"), "alice", 'which does not begin with "oidc:"'],
    ["a user who has nothing but the prefix", as("oidc:"), "alice", 'which does not begin with "oidc:"'],
    ["a person who names themselves as exempt in an annotation", BOB, "alice", "only ApiTokens with spec.owner bob"],
  ])("%s may not, and the refusal says why", async (_who, who, owner, fault) => {
    const { code, output } = await create(who, "refused", { owner });
    expect(output).toContain(`spec.owner is ${owner}: `);
    expect(output).toContain(fault);
    expect(code).toBe(1);
  });

  const MERGE = ["--type=merge", "-p"];
  test.each([
    ["change its spec", ["patch", "apitoken", "alices", ...MERGE, '{"spec":{"scopes":["mine"]}}']],
    ["have it rotated", ["annotate", "apitoken", "alices", "apitoken.dev/rotate-requested-at=now"]],
    ["revoke it", ["patch", "apitoken", "alices", ...MERGE, '{"spec":{"revoked":true}}']],
    ["delete it", ["delete", "apitoken", "alices"]],
  ])("another person may not %s", async (_what, args) => {
    expect(await kubectl(BOB, args)).toMatchObject({
      code: 1,
      output: expect.stringContaining("this ApiToken belongs to alice"),
    });
    expect(await kubectl(ALICE, args)).toMatchObject({ code: 0 });
  });

  test("nobody can delete another person's ApiToken with all those of a namespace", async () => {
    await create(GITOPS, "bystander", { owner: "dave" });
    const { code } = await kubectl(BOB, ["delete", "apitokens", "--all"]);
    expect(code).toBe(1);
    expect(await cluster.get("bystander")).toBeDefined();
  });

  describe("who asked", () => {
    test("is the person who created it, regardless of what they write", async () => {
      await create(GITOPS, "forged", { owner: "erin" }, { [REQUESTER]: "oidc:erin" });
      expect(await requesterOf("forged")).toBe("system:serviceaccount:argocd:controller");
    });

    test.each([
      ["changes the spec", ["patch", "apitoken", "asked", ...MERGE, '{"spec":{"scopes":["a"]}}'], "oidc:carol"],
      ["asks for a rotation", ["annotate", "apitoken", "asked", "apitoken.dev/rotate-requested-at=n"], "oidc:carol"],
      ["labels it", ["label", "apitoken", "asked", "seen=yes"], "oidc:dave"],
      ["writes another name", ["annotate", "apitoken", "asked", "--overwrite", `${REQUESTER}=oidc:bob`], "oidc:dave"],
      ["takes the name away", ["annotate", "apitoken", "asked", `${REQUESTER}-`], "oidc:dave"],
    ])("is still correct after somebody else %s", async (_what, args, expected) => {
      await cluster.kubectl(["delete", "apitoken", "asked", "--ignore-not-found"]);
      await create(as("oidc:dave"), "asked", { owner: "dave" });
      expect(await requesterOf("asked")).toBe("oidc:dave");
      expect(await kubectl(OFFICE, args)).toMatchObject({ code: 0 });
      expect(await requesterOf("asked")).toBe(expected);
    });
  });
});

describe.skipIf(tools.helm === undefined)("with the owner in an extra key of the user", () => {
  let cluster: TestCluster;
  let objects: Rendered[] = [];
  const create = (name: string, owner: string, ...extra: string[]) => {
    const body = JSON.stringify(anApiTokenBody(cluster.namespace, name, { owner }));
    return cluster.kubectl(["create", "-f", "-", "--as", "anna", ...extra], body);
  };

  beforeAll(async () => {
    cluster = await connectCluster();
    const identity = { enabled: true, extraKey: "example.com/employee" };
    const values = { devPostgres: { enabled: true }, admission: { identity } };
    const all = await renderChart(values, { namespace: cluster.namespace, release: RELEASE });
    objects = all.filter(({ kind, metadata }) => /Admission/.test(kind) && metadata.name.endsWith("identity"));
    await install(cluster, objects);
    await cluster.kubectl(["create", "rolebinding", "anna", "--clusterrole=cluster-admin", "--user=anna"]);
    await eventually(async () => expect((await create("probe", "x")).output).toContain("spec.owner is x: "));
  });
  afterAll(async () => {
    for (const { kind, metadata } of objects) await cluster.kubectl(["delete", kind, metadata.name]);
    await cluster?.close();
  });

  test("that value is the owner", async () => {
    expect(await create("own", "e4711", "--as-user-extra=example.com/employee=e4711")).toMatchObject({ code: 0 });
  });

  test.each([
    ["the user's name", "anna", ["--as-user-extra=example.com/employee=e4711"], "only ApiTokens with spec.owner e4711"],
    ["a user without it", "anna", [], "without a value of the extra key example.com/employee"],
  ])("%s is not", async (_what, owner, extra, fault) => {
    expect(await create("refused", owner, ...extra)).toMatchObject({ code: 1, output: expect.stringContaining(fault) });
  });
});

describe.skipIf(tools.helm === undefined)("if the API server has no MutatingAdmissionPolicy", () => {
  let cluster: TestCluster;
  let objects: Rendered[] = [];
  beforeAll(async () => {
    cluster = await connectCluster();
    const all = await renderChart(
      { devPostgres: { enabled: true } },
      { namespace: cluster.namespace, release: RELEASE },
    );
    objects = all.filter(({ kind, metadata }) => /Admission/.test(kind) && metadata.name.endsWith("requester"));
    expect(objects.map(({ kind }) => kind)).toEqual(["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]);
    await install(cluster, objects);
    await cluster.kubectl(["create", "rolebinding", "alice", "--clusterrole=cluster-admin", "--user=oidc:alice"]);
  });
  afterAll(async () => {
    for (const { kind, metadata } of objects) await cluster.kubectl(["delete", kind, metadata.name]);
    await cluster?.close();
  });

  test("people may name only themselves as the one who asked", async () => {
    const create = (name: string, requester: string) => {
      const body = anApiTokenBody(cluster.namespace, name, { owner: "alice" });
      const annotated = { ...body, metadata: { ...body.metadata, annotations: { [REQUESTER]: requester } } };
      return cluster.kubectl(["create", "-f", "-", ...ALICE], JSON.stringify(annotated));
    };
    await eventually(async () => {
      await cluster.kubectl(["delete", "apitoken", "forged", "--ignore-not-found"]);
      expect((await create("forged", "oidc:bob")).output).toContain("it may name only you, oidc:alice");
    });
    expect(await create("honest", "oidc:alice")).toMatchObject({ code: 0 });
  });
});

test.skipIf(tools.helm === undefined)(
  "the policy holds where the selector says, and is absent by default",
  async () => {
    const namespaceSelector = { matchLabels: { people: "yes" } };
    const values = { devPostgres: { enabled: true }, admission: { identity: { enabled: true, namespaceSelector } } };
    const find = (objects: Rendered[]) =>
      objects.find(({ kind, metadata }) => kind.endsWith("Binding") && metadata.name.endsWith(".identity"));
    expect(find(await renderChart(values))?.spec.matchResources).toEqual({ namespaceSelector });
    expect(find(await renderChart({ devPostgres: { enabled: true } }))).toBeUndefined();
  },
);
