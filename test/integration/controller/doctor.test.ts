import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../../local/control-plane.ts";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { OWNER_BLOCKS_PATH } from "../../../src/kube/resources/owner-block.ts";
import { POLICIES_PATH } from "../../../src/kube/resources/policy.ts";
import { connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { type CommandResult, runCommand } from "../../support/commands.ts";
import { isIdle, startTestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { installResources } from "../../support/global-setup.ts";
import { issueToken } from "../../support/resources.ts";

interface JsonReport {
  findings: { kind: string; object: string; problem: string; remedy: string; isFixable: boolean }[];
  fixed?: { found: number; failed: { object: string; reason: string }[] };
  leader?: string;
  apiTokens: number;
}

const OTHER_CLUSTER = "11111111-1111-4111-8111-111111111111";

// Its own control plane, because blocks and policies belong to the whole cluster.
let plane: ControlPlane;
let cluster: TestCluster;
let databaseUrl: string;

beforeAll(async () => {
  plane = await startControlPlane();
  installResources(plane);
});
beforeEach(async () => {
  await cluster?.close();
  cluster = await connectCluster(plane.kubeconfigPath);
  databaseUrl = await createTestDatabase();
});
afterAll(async () => {
  await cluster?.close();
  await plane?.stop();
});

const doctor = (...args: string[]) => runCommand(cluster, databaseUrl, ["doctor", ...args]);

function readReport({ stdout, stderr }: CommandResult): JsonReport {
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as JsonReport;
}

/** Starts a controller and, once it is idle, does `work`. Stops it when it is idle again. */
async function withController(work: () => Promise<unknown>): Promise<void> {
  const controller = await startTestController(cluster, databaseUrl);
  try {
    await eventually(() => isIdle(controller));
    await work();
    await eventually(() => isIdle(controller));
  } finally {
    await controller.stop();
  }
}

const create = (path: string, kind: string, name: string, spec: object) =>
  cluster.transport.request("POST", path, {
    body: { apiVersion: "apitoken.dev/v1alpha1", kind, metadata: { name }, spec },
  });

const allRows = () => runAsSuperuser(databaseUrl, "select * from apitoken.tokens order by id");
const secretVersions = async () =>
  (await cluster.kubectl(["get", "secrets,apitokens", "-o", "jsonpath={.items[*].metadata.resourceVersion}"])).output;

/** A test's controller sees only the OwnerBlocks that are named after its namespace. */
const blockName = (name: string) => `${cluster.namespace}-${name}`;

test("finds nothing if a controller leads and all is well", async () => {
  await withController(async () => {
    await issueToken(cluster, "well");
    const result = await doctor();
    expect(result).toMatchObject({ code: 0, stdout: "No differences; 1 ApiToken examined.\n", stderr: "" });
  });
});

test("finds every difference, writes nothing, and with --fix fixes what can be fixed", async () => {
  await withController(async () => {
    for (const name of ["well", "lost-secret", "edited", "ended", "gone"]) await issueToken(cluster, name);
    await issueToken(cluster, "blocked", { owner: "mallory" });
    await create(OWNER_BLOCKS_PATH, "OwnerBlock", blockName("lifted"), { owner: "nobody" });
    await eventually(async () =>
      expect(await runAsSuperuser(databaseUrl, "select from apitoken.blocked_owners")).toHaveLength(1),
    );
  });
  const { namespace } = cluster;
  const well = readToken(await cluster.getSecret("well"));
  await cluster.kubectl(["delete", "secret", "lost-secret"]);
  await cluster.kubectl(["patch", "secret", "edited", "-p", '{"data":{"token":"eA=="}}']);
  await runAsSuperuser(databaseUrl, "update apitoken.tokens set revoked_at = now() where name = 'ended'");
  await cluster.kubectl(["patch", "apitoken", "gone", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
  await cluster.delete("gone");
  await cluster.apply("new", { owner: "alice" });
  await cluster.kubectl(["create", "secret", "generic", "taken", "--from-literal=password=precious"]);
  await cluster.apply("taken", { owner: "alice" });
  await cluster.kubectl(["create", "secret", "generic", "labelled", "--from-literal=password=precious"]);
  await cluster.kubectl(["label", "secret", "labelled", "apitoken.dev/managed=true"]);
  await create(OWNER_BLOCKS_PATH, "OwnerBlock", blockName("unknown"), { owner: "mallory" });
  await cluster.transport.request("DELETE", `${OWNER_BLOCKS_PATH}/${blockName("lifted")}`);
  await create(POLICIES_PATH, "ApiTokenPolicy", "aimless", {
    priority: -2_000,
    namespaceSelector: { matchLabels: { "no-such": "label" } },
  });
  await runAsSuperuser(databaseUrl, "alter table apitoken.tokens disable trigger record_truncation");
  const [partition] = await runAsSuperuser<{ name: string }>(
    databaseUrl,
    "select max(relname) as name from pg_class where relname ~ '^security_events_[0-9]{4}_[0-9]{2}$'",
  );
  await runAsSuperuser(databaseUrl, `drop table apitoken.${partition?.name}`);
  await runAsSuperuser(
    databaseUrl,
    `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
       key_id, issued_at, expires_at)
     select 'otherCluster', $1, namespace, 'elsewhere', $1, revision, owner, '\\x00', hash_algorithm, 'theirs', issued_at,
       expires_at
     from apitoken.tokens where name = 'well'`,
    [OTHER_CLUSTER],
  );

  const before = { rows: await allRows(), versions: await secretVersions() };
  const seen = await doctor("-o", "json");
  expect(seen.code).toBe(5);
  const of = (report: JsonReport) => report.findings.map(({ kind, object }) => `${kind}: ${object}`);
  const report = readReport(seen);
  const unfixable = [
    "NoLeader: Lease",
    "TriggerFaulty: trigger record_truncation of apitoken.tokens",
    "PolicySelectsNothing: ApiTokenPolicy aimless",
    `SecretConflict: ApiToken ${namespace}/taken`,
    `SecretWithoutApiToken: Secret ${namespace}/labelled`,
  ];
  const month = partition?.name.slice(-7).replace("_", "-");
  expect(of(report).sort()).toEqual(
    [
      ...unfixable,
      `AuditPartitionMissing: table apitoken.security_events, ${month}`,
      `ApiTokenDiffers: ApiToken ${namespace}/lost-secret`,
      `ApiTokenDiffers: ApiToken ${namespace}/edited`,
      `ApiTokenDiffers: ApiToken ${namespace}/ended`,
      `ApiTokenDiffers: ApiToken ${namespace}/new`,
      `RowWithoutApiToken: ApiToken ${namespace}/gone`,
      `SecretWithoutApiToken: Secret ${namespace}/gone`,
      `StatusOutdated: ApiToken ${namespace}/taken`,
      `OwnerBlockDiffers: OwnerBlock ${blockName("unknown")}`,
      `OwnerBlockWithoutResource: OwnerBlock ${blockName("lifted")}`,
    ].sort(),
  );
  expect({ rows: await allRows(), versions: await secretVersions() }).toEqual(before);

  const fixed = await doctor("--fix", "-o", "json");
  expect(fixed.code).toBe(5);
  const left = readReport(fixed);
  expect(left.fixed).toEqual({ found: report.findings.length, failed: [] });
  expect(of(left).sort()).toEqual(unfixable.sort());
  expect(left.findings.every(({ isFixable }) => !isFixable)).toBe(true);

  for (const name of ["well", "lost-secret", "edited", "ended", "new"]) {
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret(name)))).toBe(true);
  }
  expect(readToken(await cluster.getSecret("well"))).toBe(well);
  expect((await findRows(databaseUrl, "blocked")).filter((row) => row.is_live)).toEqual([]);
  expect(await cluster.getSecret("blocked")).toBeUndefined();
  expect((await findRows(databaseUrl, "gone")).filter((row) => row.is_live)).toEqual([]);
  expect(await cluster.getSecret("gone")).toBeUndefined();
  for (const name of ["taken", "labelled"]) {
    expect(readToken(await cluster.getSecret(name), "password")).toBe("precious");
  }
  expect(await findRows(databaseUrl, "elsewhere")).toMatchObject([{ cluster_id: OTHER_CLUSTER, is_live: true }]);
  expect(await runAsSuperuser(databaseUrl, "select name from apitoken.blocked_owners")).toEqual([
    { name: blockName("unknown") },
  ]);

  await runAsSuperuser(databaseUrl, "alter table apitoken.tokens enable trigger record_truncation");
  await cluster.kubectl(["delete", "secret", "labelled", "taken"]);
  await cluster.transport.request("DELETE", `${POLICIES_PATH}/aimless`);
  await withController(async () => expect((await doctor()).stdout).toMatch(/^No differences/));
  await cluster.transport.request("DELETE", `${OWNER_BLOCKS_PATH}/${blockName("unknown")}`);
});

test("fixes nothing while another leads, and reports who does", async () => {
  await withController(() => issueToken(cluster, "lost"));
  await cluster.kubectl(["delete", "secret", "lost"]);
  const lease = leaseOf("somebody", new Date(), 300);
  await cluster.kubectl(["replace", "--force", "-f", "-"], JSON.stringify(lease));
  const before = { rows: await allRows(), versions: await secretVersions() };
  const result = await doctor("--fix");
  expect(result.code).toBe(5);
  expect(result.stdout).toContain(`ApiTokenDiffers: ApiToken ${cluster.namespace}/lost: no Secret holds its token`);
  expect(result.stdout).toContain("somebody is the leader and will fix 1 of them on its next pass");
  expect({ rows: await allRows(), versions: await secretVersions() }).toEqual(before);
});

test("reports a Lease whose holder is gone, takes it to fix things, and gives it back", async () => {
  await withController(() => issueToken(cluster, "lost"));
  await cluster.kubectl(["delete", "secret", "lost"]);
  const lease = leaseOf("dead", new Date(Date.now() - 60_000), 3);
  await cluster.kubectl(["replace", "--force", "-f", "-"], JSON.stringify(lease));
  const kinds = readReport(await doctor("-o", "json")).findings.map(({ kind }) => kind);
  expect(kinds).toEqual(["LeaseExpired", "ApiTokenDiffers"]);
  const left = readReport(await doctor("--fix", "-o", "json"));
  expect(left.fixed?.failed).toEqual([]);
  expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("lost")))).toBe(true);
  const { output } = await cluster.kubectl([
    "get",
    "lease",
    "apitoken-controller",
    "-o",
    "jsonpath={.spec.holderIdentity}",
  ]);
  expect(output).toBe("");
});

test("reports keys that the keyring lacks, a missing keyring, and a schema that is not ours", async () => {
  await withController(() => issueToken(cluster, "keyed"));
  const find = async () => readReport(await doctor("-o", "json")).findings;
  await runAsSuperuser(databaseUrl, "update apitoken.tokens set key_id = 'p-lost'");
  expect(await find()).toContainEqual(expect.objectContaining({ kind: "KeyMissing", object: "key p-lost" }));
  await runAsSuperuser(databaseUrl, "update apitoken.tokens set metadata = 'x', metadata_key_id = 'e-lost'");
  expect(await find()).toContainEqual(expect.objectContaining({ kind: "KeyMissing", object: "key e-lost" }));
  await runAsSuperuser(
    databaseUrl,
    "update apitoken.keys set check_value = sha256('another') where kind = 'encryption'",
  );
  expect(await find()).toContainEqual(expect.objectContaining({ kind: "KeySwapped" }));
  await cluster.kubectl(["delete", "secret", "apitoken-keyring"]);
  expect(await find()).toContainEqual(expect.objectContaining({ kind: "KeyringUnusable" }));
  expect(await cluster.getSecret("apitoken-keyring")).toBeUndefined();
  await runAsSuperuser(databaseUrl, "update apitoken.schema_version set version = 0");
  expect(await find()).toContainEqual(
    expect.objectContaining({ kind: "SchemaMismatch", remedy: expect.stringContaining('run "migrate"') }),
  );
});

test("a namespace without a policy is one finding, however many ApiTokens wait there", async () => {
  await cluster.kubectl(["label", "namespace", cluster.namespace, "apitoken-test-no-policy=true"]);
  await withController(async () => {
    for (const name of ["a", "b", "c"]) await cluster.apply(name, { owner: "alice" });
    await eventually(async () => expect((await cluster.get("c"))?.status?.conditions).toBeDefined());
    const { findings } = readReport(await doctor("-o", "json"));
    expect(findings).toMatchObject([
      {
        kind: "PolicyMissing",
        object: `Namespace ${cluster.namespace}`,
        problem: expect.stringContaining("3 ApiTokens"),
      },
    ]);
  });
});

test("exits with 2 for bad usage, and with 1 if the database is unavailable", async () => {
  expect(await doctor("--repair")).toMatchObject({ code: 2, stderr: expect.stringContaining("--repair") });
  expect(await doctor("-o", "yaml")).toMatchObject({ code: 2, stderr: expect.stringContaining("text or json") });
  const away = await runCommand(cluster, "postgres://nobody@127.0.0.1:1/nothing", ["doctor"]);
  expect(away).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("database is not available") });
});

function leaseOf(holder: string, renewedAt: Date, leaseDurationSeconds: number) {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace: cluster.namespace, name: "apitoken-controller" },
    spec: { holderIdentity: holder, leaseDurationSeconds, renewTime: renewedAt.toISOString().replace("Z", "000Z") },
  };
}
