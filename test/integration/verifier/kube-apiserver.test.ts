/*
 * A real kube-apiserver with the example's webhook asks a real verifier who shows a token.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test as base, expect, inject } from "vitest";
import { parse } from "yaml";
import { type ControlPlane, startControlPlane } from "../../../local/control-plane.ts";
import { findGatewayCrds } from "../../../local/setup/gateway-tools.mjs";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { changeByHand, issueByHand, startTestVerifier } from "../../support/verifier.ts";

const EXAMPLES = new URL("../../../examples/verifier/kube-apiserver/", import.meta.url);
const readExample = (file: string) => readFileSync(new URL(file, EXAMPLES), "utf8");

const keyring = createKeyring();
const crds = findGatewayCrds();

/** The flags that the example gives kube-apiserver, with the webhook's file elsewhere. */
function flagsOf(webhookFile: string): string[] {
  const { apiServer } = parse(readExample("kubeadm.yaml")) as {
    apiServer: { extraArgs: { name: string; value: string }[] };
  };
  return apiServer.extraArgs.map(({ name, value }) => {
    return `--${name}=${value.replace("/etc/kubernetes/apitoken/webhook.yaml", webhookFile)}`;
  });
}

/** The shared API server has signed a certificate for 127.0.0.1, which the verifier uses. */
function certificate() {
  const folder = join(dirname(inject("servers").auditLogPath), "certs");
  return { certificate: join(folder, "apiserver.crt"), key: join(folder, "apiserver.key") };
}

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const files = certificate();
    const verifier = await startTestVerifier({
      url: databaseUrl,
      keyring,
      settings: { APITOKEN_VERIFIER_TLS_CERT: files.certificate, APITOKEN_VERIFIER_TLS_KEY: files.key },
    });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  })
  .extend("plane", { scope: "file" }, async ({ databaseUrl, verifier }, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-webhook-"));
    const caller = await issueByHand(databaseUrl, keyring, "owner = 'apiserver', scopes = '{apitoken:introspect}'");
    writeFileSync(join(folder, "token"), caller.plaintext);
    writeFileSync(join(folder, "ca.crt"), readFileSync(certificate().certificate));
    const webhook = readExample("webhook.yaml")
      .replace("10.96.0.53:8182", `127.0.0.1:${verifier.introspectionPort}`)
      .replace("apitoken-verifier.apitoken-system.svc", "kubernetes.default.svc")
      .replaceAll("/etc/kubernetes/apitoken", folder);
    writeFileSync(join(folder, "webhook.yaml"), webhook);
    const plane = await startControlPlane({ apiserverFlags: flagsOf(join(folder, "webhook.yaml")) });
    onCleanup(async () => {
      await plane.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    return plane;
  });

/** Runs kubectl with a token, or as an admin; never throws. */
function kubectl(plane: ControlPlane, args: readonly string[], token?: string, input = "") {
  const folder = dirname(plane.kubeconfigPath);
  const access =
    token === undefined
      ? ["--kubeconfig", plane.kubeconfigPath]
      : [
          ...["--kubeconfig", "/dev/null", "--server", plane.server],
          ...["--certificate-authority", join(folder, "certs/apiserver.crt"), "--token", token],
        ];
  return new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
    const child = execFile(plane.kubectlPath, [...access, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}

const whoAmI = (plane: ControlPlane, token: string) => kubectl(plane, ["auth", "whoami", "-o", "json"], token);

test("a token makes its owner a user, its namespace a group, and its scopes extra values", async ({
  databaseUrl,
  plane,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  const { code, output } = await whoAmI(plane, token.plaintext);
  expect(code, output).toBe(0);
  expect(JSON.parse(output).status.userInfo).toEqual({
    username: "apitoken:alice",
    uid: token.id,
    groups: ["apitoken:shop", "system:authenticated"],
    extra: { "apitoken.dev/scopes": ["read", "write"], "apitoken.dev/name": ["shop/orders"] },
  });
});

test("nobody becomes one of Kubernetes' own users, whatever the owner is called", async ({ databaseUrl, plane }) => {
  const token = await issueByHand(databaseUrl, keyring, "owner = 'system:admin', namespace = 'system:masters'");
  const { output } = await whoAmI(plane, token.plaintext);
  expect(JSON.parse(output).status.userInfo).toMatchObject({
    username: "apitoken:system:admin",
    groups: ["apitoken:system:masters", "system:authenticated"],
  });
  expect((await kubectl(plane, ["get", "secrets"], token.plaintext)).output).toContain("Forbidden");
});

test("the example's RoleBinding lets the tokens of a namespace read, and nothing else", async ({
  databaseUrl,
  plane,
}) => {
  await kubectl(plane, ["create", "namespace", "shop"]);
  const applied = await kubectl(plane, ["apply", "-f", "-"], undefined, readExample("readers.yaml"));
  expect(applied.code, applied.output).toBe(0);
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  await eventually(async () => {
    expect(await kubectl(plane, ["get", "pods", "-n", "shop"], plaintext)).toMatchObject({ code: 0 });
  });
  expect((await kubectl(plane, ["get", "pods", "-n", "default"], plaintext)).output).toContain("Forbidden");
  expect((await kubectl(plane, ["create", "configmap", "x", "-n", "shop"], plaintext)).output).toContain("forbidden");
  const elsewhere = await issueByHand(databaseUrl, keyring, "namespace = 'other'");
  expect((await kubectl(plane, ["get", "pods", "-n", "shop"], elsewhere.plaintext)).output).toContain("Forbidden");
});

test("what is not good is refused, and a revoked token after the cache's time at the latest", async ({
  databaseUrl,
  plane,
}) => {
  const expired = await issueByHand(databaseUrl, keyring, "expires_at = now() - interval '1 minute'");
  for (const token of [expired.plaintext, createToken().plaintext, "nonsense"]) {
    expect((await whoAmI(plane, token)).output).toContain("Unauthorized");
  }
  const token = await issueByHand(databaseUrl, keyring);
  expect((await whoAmI(plane, token.plaintext)).code).toBe(0);
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  const revokedAtMs = performance.now();
  await eventually(async () => {
    expect((await whoAmI(plane, token.plaintext)).output).toContain("Unauthorized");
  });
  expect(performance.now() - revokedAtMs).toBeLessThan(15_000);
});

test("what is not known is refused for the moment only", async ({ databaseUrl, plane, verifier }) => {
  verifier.writeKeyring(createKeyring());
  const token = await eventually(async () => {
    const fresh = await issueByHand(databaseUrl, keyring);
    expect((await whoAmI(plane, fresh.plaintext)).output).toContain("Unauthorized");
    return fresh;
  });
  expect(readFileSync(plane.apiserver.logPath, "utf8")).toContain("cannot be said at the moment");
  verifier.writeKeyring(keyring);
  await eventually(async () => {
    expect((await whoAmI(plane, token.plaintext)).code).toBe(0);
  });
});

test.skipIf(crds === undefined)("the example for the Gateway API is what its CRDs allow", async ({ plane }) => {
  const installed = await kubectl(plane, ["apply", "--server-side", "-f", crds ?? ""]);
  expect(installed.code, installed.output).toBe(0);
  await kubectl(plane, ["wait", "--for=condition=Established", "--timeout=30s", "-f", crds ?? ""]);
  for (const namespace of ["shop", "apitoken-system"]) await kubectl(plane, ["create", "namespace", namespace]);
  const check = (text: string) =>
    kubectl(plane, ["apply", "--dry-run=server", "--validate=strict", "-f", "-"], undefined, text);
  const manifests = readExample("../gateway-api.yaml");
  const { code, output } = await check(manifests);
  expect(code, output).toBe(0);
  expect(output).toContain("httproute.gateway.networking.k8s.io/orders created");
  expect((await check(manifests.replaceAll("allowedHeaders", "allowedRequestHeaders"))).code).not.toBe(0);
});

test("the API server accepts the example's Service", async ({ plane }) => {
  await kubectl(plane, ["create", "namespace", "apitoken-system"]);
  const service = readExample("service.yaml").replace("10.96.0.53", "10.0.0.53");
  const { code, output } = await kubectl(plane, ["apply", "--dry-run=server", "-f", "-"], undefined, service);
  expect(code, output).toBe(0);
});
