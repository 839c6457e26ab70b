import pg from "pg";
import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { createLogin, findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { applyMany, issueToken, untilReady, untilReason } from "../../support/resources.ts";

const PASSES = "apitoken_reconcile_duration_seconds_count";

/** SQL for what our trigger sends. */
const A_CHANGE = `(select jsonb_build_object('tokenId', 'x', 'clusterId', max(cluster_id::text), 'namespace', 'nowhere', 'owner', 'x')
  from apitoken.tokens)`;

const readSecret = async (cluster: TestCluster, name: string) => readToken(await cluster.getSecret(name));

describe("what anybody with a login for the database can do", () => {
  test.for(["x", "null", "{}", '{"clusterId":1}'])(
    "a notification of %j changes nothing",
    async (payload, { cluster, databaseUrl, controller }) => {
      await runAsSuperuser(databaseUrl, "select pg_notify('apitoken_changed', $1)", [payload]);
      await issueToken(cluster, `after-notify-${payload.length}`);
      expect(await readMetric(controller, "apitoken_leading")).toBe(1);
    },
  );

  test.for([
    ["that everything has changed", "'everything'", 0],
    ["of a block of one owner", "jsonb_build_object('blockedOwner', 'owner-1', 'n', number)", 0],
    ["of nonsense", "number || repeat('x', 7000)", 0],
    ["of changes of what does not exist", `${A_CHANGE} || jsonb_build_object('name', 'n-' || number)`, 500],
  ] as const)(
    "a flood of notifications %s costs little, and real changes still arrive",
    async ([_, payload, taken], { cluster, databaseUrl, controller }) => {
      const names = await applyMany(cluster, "flooded", 20);
      for (const name of names) await untilReady(cluster, name);
      await eventually(() => isIdle(controller));
      const passesBefore = await readMetric(controller, PASSES);
      const flood = await startFlood(databaseUrl, payload);
      const tokenId = (await cluster.get("flooded-0"))?.status?.tokenId;
      await runAsSuperuser(databaseUrl, "update apitoken.tokens set revoked_at = now() where id = $1", [tokenId]);
      await eventually(async () => expect((await cluster.get("flooded-0"))?.status?.tokenId).not.toBe(tokenId), {
        timeoutMs: 5_000,
      });
      const seconds = await flood.stop();
      await eventually(() => isIdle(controller));
      const passes = (await readMetric(controller, PASSES)) - passesBefore;
      const resources = await readMetric(controller, "apitoken_resources");
      // One look at everything a second, which housekeeping repeats, and the first notifications of each second.
      expect(passes).toBeLessThanOrEqual((seconds + 3) * (2 * resources + taken));
      for (const name of names) await cluster.delete(name);
      await eventually(async () => expect(await readMetric(controller, "apitoken_resources")).toBe(resources - 20));
    },
  );

  test("a table that is emptied is noticed at once, audited, and every ApiToken gets a new token", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "truncated");
    await runAsSuperuser(databaseUrl, "truncate apitoken.tokens");
    await eventually(async () => expect(await readSecret(cluster, "truncated")).not.toBe(token));
    const trail = await runAsSuperuser(
      databaseUrl,
      "select 1 from apitoken.security_events where event = 'TokensTruncated'",
    );
    expect(trail).toHaveLength(1);
  });

  test("a row of which only the key's id was changed is noticed, and its token replaced", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "wrong-key");
    await runAsSuperuser(databaseUrl, "update apitoken.tokens set key_id = 'p-unknown' where name = 'wrong-key'");
    await eventually(async () => expect(await readSecret(cluster, "wrong-key")).not.toBe(token));
    expect((await findEvents(databaseUrl, "wrong-key")).map(({ event }) => event)).toContain("TokenChanged");
  });
});

/** Sends notifications, as many as it can, from a login without any rights. `payload` is SQL. */
async function startFlood(databaseUrl: string, payload: string): Promise<{ stop(): Promise<number> }> {
  const { name, url } = await createLogin(databaseUrl);
  await runAsSuperuser(
    databaseUrl,
    `grant usage on schema apitoken to ${name}; grant select on apitoken.tokens to ${name}`,
  );
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const startedAtMs = performance.now();
  let isStopped = false;
  const text = `select pg_notify('apitoken_changed', (${payload})::text) from generate_series(1, 1000) as number`;
  const flooding = (async () => {
    while (!isStopped) await client.query(text);
  })();
  return {
    async stop() {
      isStopped = true;
      await flooding;
      await client.end();
      return (performance.now() - startedAtMs) / 1_000;
    },
  };
}

describe("a Secret that the API server rejects", () => {
  test("is reported with its field, retried less and less often, and writes little", async ({
    cluster,
    databaseUrl,
  }) => {
    const webhook = await refuseSecrets(cluster, "refused");
    await cluster.apply("refused", { owner: "alice" });
    await untilReason(cluster, "refused", "SecretRefused");
    const resource = await cluster.get("refused");
    expect(resource?.status?.failedAttempts).toBeGreaterThanOrEqual(2);
    await eventually(async () =>
      expect((await cluster.get("refused"))?.status?.failedAttempts).toBeGreaterThanOrEqual(8),
    );
    // With 5 ms, doubled each time, ten attempts take more than two seconds; a loop without delay makes hundreds.
    expect((await findEvents(databaseUrl, "refused")).length).toBeLessThan(20);
    await webhook.remove();
    await untilReady(cluster, "refused", 30_000);
    expect((await cluster.get("refused"))?.status?.failedAttempts).toBeUndefined();
    expect((await findRows(databaseUrl, "refused")).filter((row) => row.is_live)).toHaveLength(1);
  }, 60_000);

  test("while it holds a working token the ApiToken stays Ready, and shows that it is not renewed", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "not-renewed");
    const webhook = await refuseSecrets(cluster, "not-renewed");
    await cluster.annotate("not-renewed", { "apitoken.dev/rotate-requested-at": "1" });
    await untilReason(cluster, "not-renewed", "Renewing");
    expect(conditionOf(await cluster.get("not-renewed"), "Ready")?.status).toBe("True");
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    await webhook.remove();
    await eventually(async () => expect(await readSecret(cluster, "not-renewed")).not.toBe(token), {
      timeoutMs: 30_000,
    });
  }, 60_000);

  /** A ValidatingAdmissionPolicy (KEP-3488) that rejects one Secret in the test's namespace. */
  async function refuseSecrets(cluster: TestCluster, secretName: string) {
    const path = "/apis/admissionregistration.k8s.io/v1";
    const name = `${cluster.namespace}-${secretName}`;
    await cluster.transport.request("POST", `${path}/validatingadmissionpolicies`, {
      body: {
        metadata: { name },
        spec: {
          failurePolicy: "Fail",
          matchConstraints: {
            resourceRules: [
              { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["secrets"] },
            ],
          },
          matchConditions: [
            {
              name: "one",
              expression: `request.namespace == '${cluster.namespace}' && request.name == '${secretName}'`,
            },
          ],
          validations: [{ expression: "false", message: "not today" }],
        },
      },
    });
    await cluster.transport.request("POST", `${path}/validatingadmissionpolicybindings`, {
      body: { metadata: { name }, spec: { policyName: name, validationActions: ["Deny"] } },
    });
    await eventually(async () => {
      const tried = await cluster.kubectl(["create", "secret", "generic", secretName, "--dry-run=server"]);
      expect(tried.output).toContain("denied");
    });
    return {
      async remove() {
        await cluster.transport.request("DELETE", `${path}/validatingadmissionpolicybindings/${name}`);
        await cluster.transport.request("DELETE", `${path}/validatingadmissionpolicies/${name}`);
      },
    };
  }
});

describe("a database that rejects the operation", () => {
  test("is reported with its SQLSTATE on new ApiTokens and on those being deleted, and heals", async ({
    cluster,
    databaseUrl,
  }) => {
    await issueToken(cluster, "to-go");
    await runAsSuperuser(databaseUrl, "revoke update on apitoken.tokens from apitoken_controller");
    await runAsSuperuser(databaseUrl, "revoke insert on apitoken.tokens from apitoken_controller");
    await cluster.delete("to-go");
    await cluster.apply("to-come", { owner: "alice" });
    for (const name of ["to-go", "to-come"]) {
      await untilReason(cluster, name, "DatabaseRefused");
      const ready = conditionOf(await cluster.get(name), "Ready");
      expect(ready).toMatchObject({ status: "False", message: expect.stringContaining("SQLSTATE 42501") });
    }
    await runAsSuperuser(databaseUrl, "grant insert, update on apitoken.tokens to apitoken_controller");
    await eventually(async () => expect(await cluster.get("to-go")).toBeUndefined(), { timeoutMs: 30_000 });
    await untilReady(cluster, "to-come", 30_000);
  }, 60_000);
});

describe("what a user may write", () => {
  test.for<[string, object, string]>([
    [
      "a NUL in the reason",
      { owner: "alice", revoked: true, revocationReason: "x\u0000y" },
      "without control characters",
    ],
    [
      "an escape sequence in the description",
      { owner: "alice", description: "\u001b[31m" },
      "without control characters",
    ],
    ["a key named ..", { owner: "alice", secret: { key: ".." } }, "must not be '.' or start with '..'"],
    ["a duration that no number holds", { owner: "alice", duration: "99999999999999h" }, "must be a Go duration"],
  ])("%s is refused, with the correct form", async ([_, spec, message], { cluster }) => {
    const error = await cluster.apply("wrong", spec).catch((cause: unknown) => cause);
    expect(String(error)).toContain(message);
  });

  test("a status with an impossible revision and a wrong time does not delay the next token", async ({
    cluster,
    databaseUrl,
  }) => {
    await issueToken(cluster, "lied-to");
    await cluster.transport.request(
      "PATCH",
      `/apis/apitoken.dev/v1alpha1/namespaces/${cluster.namespace}/apitokens/lied-to/status`,
      {
        contentType: "application/merge-patch+json",
        body: { status: { revision: 2_147_483_647, issuedAt: "1970-01-01T00:00:00Z" } },
      },
    );
    await cluster.transport.request("DELETE", `/api/v1/namespaces/${cluster.namespace}/secrets/lied-to`);
    await eventually(async () =>
      expect(await verifies(cluster, databaseUrl, await readSecret(cluster, "lied-to"))).toBe(true),
    );
    await eventually(async () => expect((await cluster.get("lied-to"))?.status?.revision).toBe(2));
  });

  test("after all this, nothing is left to do", async ({ controller }) => {
    await eventually(() => isIdle(controller), { timeoutMs: 30_000 });
  });
});
