/*
 * All test files share one control plane, because starting one takes seconds. Each works in a namespace of its own,
 * with an admin's rights, so that it sees what the controller does without going through the controller's code.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { isCode } from "../../src/kube/api-error.ts";
import type { ApiToken } from "../../src/kube/resources/api-token.ts";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import type { Secret } from "../../src/kube/resources/secret.ts";
import { secretsPath } from "../../src/kube/resources/secret-api.ts";
import { createTransport, type KubeTransport } from "../../src/kube/transport.ts";
import type { Condition } from "../../src/token/condition.ts";

/** A test's view of the cluster: an admin's, in the test's own namespace. */
export interface TestCluster {
  readonly transport: KubeTransport;
  readonly namespace: string;
  readonly kubeconfigPath: string;
  /** Creates an ApiToken and returns it as stored. */
  apply(name: string, spec: object): Promise<ApiToken>;
  /** Changes the spec of an ApiToken with a JSON merge patch. */
  patch(name: string, spec: object): Promise<ApiToken>;
  /** Sets annotations of an ApiToken. */
  annotate(name: string, annotations: Readonly<Record<string, string | null>>): Promise<ApiToken>;
  get(name: string): Promise<ApiToken | undefined>;
  delete(name: string): Promise<void>;
  getSecret(name: string): Promise<Secret | undefined>;
  /** Runs kubectl in the namespace; never throws. */
  kubectl(args: readonly string[], input?: string): Promise<{ code: number; output: string }>;
  close(): Promise<void>;
}

export async function connectCluster(
  kubeconfigPath = inject("servers").kubeconfigPath,
  namespace = `test-${randomBytes(4).toString("hex")}`,
): Promise<TestCluster> {
  const transport = await createTransport({ userAgent: "apitoken-test", kubeconfigPath });
  await transport.request("POST", "/api/v1/namespaces", {
    body: { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  });
  const path = apiTokensPath(namespace);
  return {
    transport,
    namespace,
    kubeconfigPath,
    apply: (name, spec) => transport.request("POST", path, { body: anApiTokenBody(namespace, name, spec) }),
    patch: (name, spec) =>
      transport.request("PATCH", `${path}/${name}`, { contentType: "application/merge-patch+json", body: { spec } }),
    annotate: (name, annotations) =>
      transport.request("PATCH", `${path}/${name}`, {
        contentType: "application/merge-patch+json",
        body: { metadata: { annotations } },
      }),
    get: (name) => orUndefined(transport.request<ApiToken>("GET", `${path}/${name}`)),
    delete: async (name) => void (await transport.request("DELETE", `${path}/${name}`)),
    getSecret: (name) => orUndefined(transport.request<Secret>("GET", `${secretsPath(namespace)}/${name}`)),
    kubectl: (args, input) => runKubectl(["--kubeconfig", kubeconfigPath, "-n", namespace, ...args], input),
    close: () => transport.close(),
  };
}

export function anApiTokenBody(namespace: string, name: string, spec: object) {
  return { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", metadata: { namespace, name }, spec };
}

function runKubectl(args: readonly string[], input?: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(inject("servers").kubectlPath, args, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    );
    child.stdin?.end(input ?? "");
  });
}

async function orUndefined<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isCode(error, 404)) return undefined;
    throw error;
  }
}

/** The plaintext of the token in a Secret. */
export function readToken(secret: Secret | undefined, key = "token"): string {
  return Buffer.from(secret?.data?.[key] ?? "", "base64").toString();
}

export function conditionOf(resource: ApiToken | undefined, type: Condition["type"]): Condition | undefined {
  return resource?.status?.conditions?.find((condition) => condition.type === type);
}
