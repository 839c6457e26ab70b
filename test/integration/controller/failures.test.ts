import { describe, expect } from "vitest";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { type AdmissionWebhook, createSecretQuota, startAdmissionWebhook } from "../../support/admission.ts";
import { conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle } from "../../support/controllers.ts";
import { findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/** A busy machine; the controller looks once a second, and leaves a second to the pass that is due. */
const PATIENCE_MS = 6_000;

const test = controllerTest.extend("webhooks", async ({ cluster, controller }, { onCleanup }) => {
  // It must have created its keyring's Secret by then.
  await eventually(() => isIdle(controller));
  const started: AdmissionWebhook[] = [];
  onCleanup(async () => void (await Promise.all(started.map((webhook) => webhook.remove()))));
  return {
    async start(options: Parameters<typeof startAdmissionWebhook>[1]) {
      const webhook = await startAdmissionWebhook(cluster, options);
      started.push(webhook);
      return webhook;
    },
  };
});

const readyOf = async (cluster: TestCluster, name: string) => conditionOf(await cluster.get(name), "Ready");

/** Waits until the expiry that the status names; Ready must end at once, for this reason. */
async function expectEndOfReady(cluster: TestCluster, name: string, reason: string): Promise<string> {
  const expiresAtMs = Date.parse((await cluster.get(name))?.status?.expiresAt ?? "");
  await eventually(async () => expect((await readyOf(cluster, name))?.status).toBe("False"), {
    timeoutMs: Math.max(0, expiresAtMs - Date.now()) + PATIENCE_MS,
  });
  await untilReason(cluster, name, reason);
  const ready = await readyOf(cluster, name);
  expect(ready?.message).toContain("The token expired at ");
  return ready?.message ?? "";
}

const SHORT = { owner: "alice", duration: "10s" };

describe("an admission webhook", () => {
  test.for(["down", "deny", "hang"] as const)(
    "in mode %s is named in the status of a new ApiToken, which gets its token soon after",
    { timeout: 120_000 },
    async (mode, { cluster, databaseUrl, webhooks }) => {
      const webhook = await webhooks.start({ mode });
      const name = `new-${mode}`;
      await cluster.apply(name, { owner: "alice" });
      await untilReason(cluster, name, "SecretRefused", 30_000);
      const { status, message = "" } = (await readyOf(cluster, name)) ?? {};
      expect(status).toBe("False");
      expect(message).toContain(`admission webhook "${webhook.name}"`);
      expect(message).not.toContain("undefined");
      expect(JSON.stringify(await cluster.get(name))).not.toMatch(/apt_\w{20}/);

      await webhook.setMode("allow");
      await untilReady(cluster, name, 60_000);
      expect((await findRows(databaseUrl, name)).filter((row) => row.is_live)).toHaveLength(1);
    },
  );

  test("that is down does not keep a token Ready that has expired", async ({ cluster, databaseUrl, webhooks }) => {
    const token = await issueToken(cluster, "expires", SHORT);
    const webhook = await webhooks.start({ mode: "down" });
    await untilReason(cluster, "expires", "Renewing", 30_000);
    expect((await readyOf(cluster, "expires"))?.message).toContain(webhook.name);
    expect(await expectEndOfReady(cluster, "expires", "SecretRefused")).toContain(webhook.name);
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);

    await webhook.setMode("allow");
    await untilReady(cluster, "expires", 60_000);
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("expires")))).toBe(true);
  }, 120_000);

  test("that denies the deletion of a Secret does not make a revoked token look Ready", async ({
    cluster,
    databaseUrl,
    webhooks,
  }) => {
    const token = await issueToken(cluster, "revoked");
    const webhook = await webhooks.start({ mode: "deny", operations: ["DELETE"] });
    await cluster.patch("revoked", { revoked: true });
    await untilReason(cluster, "revoked", "SecretRefused");
    expect(await readyOf(cluster, "revoked")).toMatchObject({
      status: "False",
      message: expect.stringContaining(webhook.name),
    });
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    await webhook.setMode("allow");
    await untilReason(cluster, "revoked", "RevokedBySpec", 60_000);
    expect(await cluster.getSecret("revoked")).toBeUndefined();
  }, 120_000);

  test("that denies changes of ApiTokens is named in their status", async ({ cluster, webhooks }) => {
    const webhook = await webhooks.start({ mode: "deny", resource: "apitokens", operations: ["UPDATE"] });
    await cluster.apply("no-finalizer", { owner: "alice" });
    await untilReason(cluster, "no-finalizer", "ReconcileFailed");
    expect((await readyOf(cluster, "no-finalizer"))?.message).toContain(webhook.name);
    await webhook.setMode("allow");
    await untilReady(cluster, "no-finalizer", 60_000);
  }, 90_000);

  test("is asked again at once when the ApiToken, its Secret or a policy changes", async ({
    cluster,
    resources,
    webhooks,
  }) => {
    await issueToken(cluster, "retried");
    const webhook = await webhooks.start({ mode: "deny" });
    const changes = [
      () => cluster.annotate("retried", { "example.com/note": "changed" }),
      () => labelSecret(cluster, "retried"),
      () => resources.applyPolicy("other", { maxTokensPerOwner: 100, rotation: { minRequestInterval: "0s" } }),
    ];
    for (const [index, change] of changes.entries()) {
      await webhook.setMode("deny");
      const before = webhook.calls;
      await cluster.annotate("retried", { "apitoken.dev/rotate-requested-at": String(index) });
      // From the eleventh failure on the delay is five seconds and more.
      await eventually(() => webhook.calls >= before + 11, { timeoutMs: 30_000 });
      await webhook.setMode("allow");
      await change();
      await eventually(async () => expect((await cluster.get("retried"))?.status?.revision).toBe(index + 2), {
        timeoutMs: 3_000,
      });
    }
  }, 120_000);
});

async function labelSecret({ transport, namespace }: TestCluster, name: string): Promise<void> {
  await transport.request("PATCH", `${secretsPath(namespace)}/${name}`, {
    contentType: "application/merge-patch+json",
    body: { metadata: { labels: { "example.com/look": "again" } } },
  });
}

test("a ResourceQuota that is exhausted is named, and room in it is noticed", async ({ cluster }) => {
  const quota = await createSecretQuota(cluster, "few-secrets");
  await cluster.apply("over-quota", { owner: "alice" });
  await untilReason(cluster, "over-quota", "SecretRefused");
  const { message = "" } = (await readyOf(cluster, "over-quota")) ?? {};
  expect(message).toContain('ResourceQuota "few-secrets" is exhausted');
  expect(message).not.toContain("undefined");
  await quota.setRoom(1);
  await untilReady(cluster, "over-quota", 60_000);
  await quota.remove();
}, 90_000);

test("an immutable Secret under a foreign finalizer is reported with the finalizer, and replaced once it is free", async ({
  cluster,
  databaseUrl,
}) => {
  const token = await issueToken(cluster, "immutable", { owner: "alice", duration: "20s" });
  const path = `${secretsPath(cluster.namespace)}/immutable`;
  const patch = (body: object) =>
    cluster.transport.request("PATCH", path, { contentType: "application/merge-patch+json", body });
  await patch({ immutable: true, metadata: { finalizers: ["example.com/keep"] } });
  await cluster.annotate("immutable", { "apitoken.dev/rotate-requested-at": "1" });
  await untilReason(cluster, "immutable", "Renewing");
  expect((await readyOf(cluster, "immutable"))?.message).toContain("example.com/keep");
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  expect(await expectEndOfReady(cluster, "immutable", "SecretRefused")).toContain("example.com/keep");

  await patch({ metadata: { finalizers: null } });
  await untilReady(cluster, "immutable", 5_000);
  const next = readToken(await cluster.getSecret("immutable"));
  expect(next).not.toBe(token);
  expect(await verifies(cluster, databaseUrl, next)).toBe(true);
}, 90_000);

test("a bug in the middle of a pass is reported by its kind alone, and what it stopped continues", async ({
  cluster,
  controller,
}) => {
  let isBroken = true;
  await controller.restart({
    wrapTransport: (transport) => ({
      ...transport,
      request(method, path, options) {
        const { body } = options ?? {};
        if (isBroken && method === "POST" && path === secretsPath(cluster.namespace)) {
          throw new TypeError(`cannot send ${JSON.stringify(body)}`);
        }
        return transport.request(method, path, options);
      },
    }),
  });
  await cluster.apply("unlucky", { owner: "alice" });
  await untilReason(cluster, "unlucky", "ReconcileFailed");
  const { message = "" } = (await readyOf(cluster, "unlucky")) ?? {};
  expect(message).toContain("unexpected TypeError");
  expect(message).not.toContain("cannot send");
  isBroken = false;
  await untilReady(cluster, "unlucky", 60_000);
  await eventually(() => isIdle(controller));
  await controller.restart();
}, 90_000);
