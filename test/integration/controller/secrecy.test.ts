import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readToken, type TestCluster } from "../../support/cluster.ts";
import { type ControllerProcess, startControllerProcess } from "../../support/controller-process.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

const test = ownClusterTest.extend("controller", async ({ cluster, databaseUrl }, { onCleanup }) => {
  const settings = { APITOKEN_LOG_LEVEL: "debug" };
  const controller = await startControllerProcess(cluster, databaseUrl, "secrecy", settings);
  onCleanup(() => controller.dispose());
  return controller;
});

const secretsPath = (cluster: TestCluster) => `/api/v1/namespaces/${cluster.namespace}/secrets`;

/** Takes a token through everything, including failures; returns every plaintext that existed. */
async function liveThroughEverything(cluster: TestCluster, databaseUrl: string): Promise<string[]> {
  const seen = [
    await issueToken(cluster, "plain"),
    await issueToken(cluster, "edited"),
    await issueToken(cluster, "dead"),
  ];
  await cluster.transport.request("PATCH", `${secretsPath(cluster)}/edited`, {
    contentType: "application/merge-patch+json",
    body: { data: { token: Buffer.from(`${seen[0]}`).toString("base64") } },
  });
  await eventually(async () => expect(readToken(await cluster.getSecret("edited"))).not.toBe(seen[0]));
  await untilReady(cluster, "edited");
  seen.push(readToken(await cluster.getSecret("edited")));
  await cluster.patch("dead", { revoked: true, revocationReason: "leaked" });
  await untilReason(cluster, "dead", "RevokedBySpec");
  await cluster.transport.request("POST", secretsPath(cluster), { body: { metadata: { name: "foreign" }, data: {} } });
  await cluster.apply("foreign", { owner: "alice" });
  await untilReason(cluster, "foreign", "SecretConflict");
  await runAsSuperuser(
    databaseUrl,
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'controller/%'",
  );
  seen.push(await issueToken(cluster, "after"));
  return seen;
}

/** Everything that can be read outside of Secrets. */
async function collectTraces(
  cluster: TestCluster,
  databaseUrl: string,
  controller: ControllerProcess,
  auditLogPath: string,
): Promise<Record<string, string>> {
  const get = async (path: string) => JSON.stringify(await cluster.transport.request("GET", path));
  const dump = await runAsSuperuser<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const rows = await Promise.all(dump.map(({ name }) => runAsSuperuser(databaseUrl, `select t::text from ${name} t`)));
  const secrets = await cluster.transport.request<{ items: { metadata: object }[] }>("GET", secretsPath(cluster));
  return {
    log: controller.readLog(),
    metrics: await (await fetch(`http://127.0.0.1:${controller.port}/metrics`)).text(),
    statuses: await get(`/apis/apitoken.dev/v1alpha1/namespaces/${cluster.namespace}/apitokens`),
    events: await get(`/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`),
    "metadata of Secrets": JSON.stringify(secrets.items.map((secret) => secret.metadata)),
    lease: await get(`/apis/coordination.k8s.io/v1/namespaces/${cluster.namespace}/leases`),
    database: JSON.stringify(rows),
    statements: JSON.stringify(
      await runAsSuperuser(databaseUrl, "select query, application_name from pg_stat_activity"),
    ),
    "audit log": readFileSync(auditLogPath, "utf8"),
  };
}

test("no plaintext is anywhere but in its Secret: not in logs, statuses, Events, metrics, or the database", async ({
  cluster,
  databaseUrl,
  controller,
  controlPlane: { auditLogPath },
}) => {
  const tokens = await liveThroughEverything(cluster, databaseUrl);
  expect(new Set(tokens).size).toBe(5);
  const traces = await collectTraces(cluster, databaseUrl, controller, auditLogPath);
  for (const [place, text] of Object.entries(traces)) {
    expect(text.length, `${place} is empty`).toBeGreaterThan(10);
    for (const token of tokens) {
      const secret = token.slice(16, 16 + 43);
      for (const shape of [token, secret, ...["base64", "hex"].map((encoding) => encode(token, encoding))]) {
        expect(text.includes(shape), `${place} holds a plaintext token`).toBe(false);
      }
    }
    const keyring = await cluster.getSecret("apitoken-keyring");
    const { peppers, encryption, pseudonym } = JSON.parse(readToken(keyring, "keyring.json"));
    for (const { id, secret: key } of [...peppers, ...encryption, pseudonym]) {
      expect(key).toHaveLength(44);
      expect(text.includes(key), `${place} holds the key ${id}`).toBe(false);
    }
  }
});

function encode(text: string, encoding: string): string {
  return Buffer.from(text).toString(encoding as BufferEncoding);
}
