import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { connectCluster, type TestCluster } from "../support/cluster.ts";

/* The ClusterRoles for people, each bound to somebody: what they may do, and what they may not. */

const RELEASE = `roles-${randomBytes(3).toString("hex")}`;
const ROLES = ["view", "edit", "own-tokens", "offboarder", "auditor", "policy-admin"] as const;
const RESOURCES = ["apitokens", "apitokens/status", "apitokenpolicies", "ownerblocks", "secrets"];

let cluster: TestCluster;
let roles: Rendered[] = [];

beforeAll(async () => {
  if (tools.helm === undefined) return;
  cluster = await connectCluster();
  const values = { devPostgres: { enabled: true }, admission: { identity: { enabled: true } } };
  const objects = await renderChart(values, { namespace: cluster.namespace, release: RELEASE });
  roles = objects.filter(
    ({ kind, metadata }) => kind === "ClusterRole" && ROLES.some((role) => metadata.name.endsWith(`-${role}`)),
  );
  const bindings = roles.map(({ metadata: { name } }) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }],
  }));
  roles = [...roles, ...bindings];
  expect(await applyObjects(roles)).toMatchObject({ code: 0, stderr: "" });
});
afterAll(async () => {
  for (const { kind, metadata } of roles) await cluster.kubectl(["delete", kind, metadata.name]);
  await cluster?.close();
});

/** The verbs that this user has, by resource, according to the API server's authorizer. */
async function findRights(user: string): Promise<Record<string, string>> {
  const { output } = await cluster.kubectl(["auth", "can-i", "--list", "--no-headers", "--as", user]);
  const lines = output.split("\n").flatMap((line) => {
    const [, resource = "", part = "", verbs = ""] =
      /^(\w+)(?:\.apitoken\.dev)?(\/\w+)? .*\[(.*?)\]$/.exec(line.trim()) ?? [];
    return RESOURCES.includes(resource + part) ? [[resource + part, verbs] as const] : [];
  });
  return Object.fromEntries(lines);
}

const READ = "get list watch";
const WRITE = `${READ} create update patch delete deletecollection`;

test.skipIf(tools.helm === undefined).each([
  ["view", { apitokens: READ, "apitokens/status": READ }],
  ["edit", { apitokens: "create update patch delete deletecollection" }],
  ["own-tokens", { apitokens: `${READ} create update patch delete` }],
  ["offboarder", { ownerblocks: WRITE }],
  ["auditor", { apitokens: READ, "apitokens/status": READ, apitokenpolicies: READ, ownerblocks: READ }],
  ["policy-admin", { apitokenpolicies: WRITE, ownerblocks: WRITE }],
])("the role %s gives these rights and no others, not even to read Secrets", async (role, rights) => {
  const name = roles.find(({ metadata }) => metadata.name.endsWith(`-${role}`))?.metadata.name ?? "";
  expect(await findRights(name)).toEqual(rights);
});
