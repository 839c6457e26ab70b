/*
 * What stands between a controller and its Secrets in real clusters: admission webhooks that are down, deny or hang, and
 * quotas. All of it is real admission of the tests' API server, for the test's namespace alone.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { anApiTokenBody, type TestCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";

/** How a webhook behaves: "down" closes its port, "deny" quotes the object that it denies. */
export type WebhookMode = "allow" | "deny" | "hang" | "down";

export interface AdmissionWebhook {
  /** The name by which the API server reports it. */
  readonly name: string;
  /** How many reviews it has been asked for. */
  readonly calls: number;
  setMode(mode: WebhookMode): Promise<void>;
  /** Removes the configuration, and stops the server. */
  remove(): Promise<void>;
}

export interface WebhookOptions {
  readonly mode: WebhookMode;
  readonly resource?: "secrets" | "apitokens";
  readonly operations?: readonly ("CREATE" | "UPDATE" | "DELETE")[];
}

const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/** Starts an HTTPS server, and has the API server ask it about a resource in the test's namespace; a failure denies. */
export async function startAdmissionWebhook(
  cluster: TestCluster,
  { mode: first, resource = "secrets", operations = ["CREATE", "UPDATE"] }: WebhookOptions,
): Promise<AdmissionWebhook> {
  const { transport, namespace, kubeconfigPath } = cluster;
  const certs = join(dirname(kubeconfigPath), "certs");
  const cert = readFileSync(join(certs, "apiserver.crt"));
  let mode: WebhookMode = "allow";
  let calls = 0;
  const server = createServer({ cert, key: readFileSync(join(certs, "apiserver.key")) }, (request, response) => {
    calls += 1;
    if (mode !== "hang") void answer(request, response, mode === "allow");
  });
  // closeAllConnections does not know those whose TLS handshake is not over yet, and close would never end.
  const sockets = new Set<Duplex>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const unlisten = () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    return closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const name = `${resource}.${namespace}.example.com`;
  const probe = createProbe(cluster, resource);
  await probe.create();
  await transport.request("POST", CONFIGURATIONS, {
    body: {
      metadata: { name },
      webhooks: [
        {
          name,
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          failurePolicy: "Fail",
          timeoutSeconds: 1,
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          rules: [{ apiGroups: ["*"], apiVersions: ["*"], resources: [resource], operations, scope: "Namespaced" }],
          clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: cert.toString("base64") },
        },
      ],
    },
  });
  const setMode = async (next: WebhookMode) => {
    const wasDown = mode === "down";
    mode = next;
    if (next === "down" && !wasDown) await unlisten();
    if (next !== "down" && wasDown) await listen(port);
  };
  // The API server takes a moment to heed it.
  await eventually(async () => {
    const before = calls;
    await probe.tryOut();
    return calls > before;
  });
  await setMode(first);
  return {
    name,
    get calls() {
      return calls;
    },
    setMode,
    async remove() {
      await transport.request("DELETE", `${CONFIGURATIONS}/${name}`);
      await eventually(() => probe.delete());
      if (mode !== "down") await unlisten();
    },
  };
}

/** An object that the API server is asked to create, change or delete without effect. */
function createProbe({ transport, namespace }: TestCluster, resource: "secrets" | "apitokens") {
  const group = resource === "secrets" ? "/api/v1" : "/apis/apitoken.dev/v1alpha1";
  const path = `${group}/namespaces/${namespace}/${resource}`;
  const metadata = { name: `probe-${randomBytes(4).toString("hex")}` };
  const body = resource === "secrets" ? { metadata } : anApiTokenBody(namespace, metadata.name, PROBE_SPEC);
  const query = { dryRun: "All" };
  const contentType = "application/merge-patch+json";
  return {
    create: () => transport.request("POST", path, { body }),
    delete: () => transport.request("DELETE", `${path}/${metadata.name}`),
    /** Has the webhook asked, if the API server knows of it; what it answers does not matter. */
    async tryOut() {
      const calls = [
        transport.request("POST", path, { query, body: { ...body, metadata: { name: `${metadata.name}-new` } } }),
        transport.request("PATCH", `${path}/${metadata.name}`, {
          query,
          contentType,
          body: { metadata: { annotations: { "example.com/probe": "probed" } } },
        }),
        transport.request("DELETE", `${path}/${metadata.name}`, { query }),
      ];
      await Promise.allSettled(calls);
    },
  };
}

const PROBE_SPEC = { owner: "probe", suspend: true };

async function answer(request: IncomingMessage, response: ServerResponse, isAllowed: boolean): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const review = JSON.parse(Buffer.concat(chunks).toString()) as {
    request: { uid: string; object: { data?: object } };
  };
  const values = Object.values(review.request.object?.data ?? {}).map((value) =>
    Buffer.from(String(value), "base64").toString(),
  );
  const causes = [{ field: values[0], reason: values[0] }, {}];
  const status = { code: 403, message: `not with ${values.join(" ")}`, reason: values[0], details: { causes } };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(
    JSON.stringify({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid: review.request.uid, allowed: isAllowed, ...(isAllowed ? {} : { status }) },
    }),
  );
}

/** A ResourceQuota on the number of Secrets in the test's namespace. */
export interface SecretQuota {
  /** How many Secrets may be created from now on. */
  setRoom(secrets: number): Promise<void>;
  remove(): Promise<void>;
}

/** Creates a quota. The tests' control plane has no controller that counts, so the test states what is in use. */
export async function createSecretQuota({ transport, namespace }: TestCluster, name: string): Promise<SecretQuota> {
  const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
  const quota = (room: number) => ({
    metadata: { name },
    spec: { hard: { "count/secrets": String(100 + room) } },
    status: { hard: { "count/secrets": String(100 + room) }, used: { "count/secrets": "100" } },
  });
  await transport.request("POST", path, { body: quota(0) });
  const setRoom = async (secrets: number) => {
    const call = { contentType: "application/merge-patch+json", body: quota(secrets) };
    await transport.request("PATCH", `${path}/${name}`, call);
    await transport.request("PATCH", `${path}/${name}/status`, call);
  };
  await setRoom(0);
  return { setRoom, remove: async () => void (await transport.request("DELETE", `${path}/${name}`)) };
}
