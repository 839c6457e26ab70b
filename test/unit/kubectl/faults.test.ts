import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { findFreePorts } from "../../../local/processes.ts";
import { findMissingRight } from "../../../src/kube/refusal.ts";
import { withClient } from "../../../src/kubectl/client/client.ts";
import type { Fault } from "../../../src/runtime/fault.ts";
import { json, startMisbehavingApiServer } from "../kube/misbehaving-api-server.ts";

const PATH = "/apis/apitoken.dev/v1alpha1/namespaces/shop/apitokens";

/** A kubeconfig of the test's own; returns its path. */
function write(kubeconfig: object): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-plugin-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "config");
  writeFileSync(path, JSON.stringify(kubeconfig));
  return path;
}

function kubeconfigFor(server: string, user: object = {}) {
  return {
    clusters: [{ name: "c", cluster: { server } }],
    users: [{ name: "u", user }],
    contexts: [
      { name: "here", context: { cluster: "c", user: "u", namespace: "shop" } },
      { name: "there", context: { cluster: "c", user: "u" } },
    ],
    "current-context": "here",
  };
}

interface Choice {
  readonly kubeconfig: string;
  readonly context?: string;
  readonly timeoutMs?: number;
}

/** Makes one call as a command does; resolves with the fault, if there is one. */
async function call({ kubeconfig, context, timeoutMs = 10_000 }: Choice, path = PATH): Promise<Fault | undefined> {
  const options = { namespace: undefined, context, kubeconfig, as: undefined, "request-timeout": timeoutMs };
  const stop = new AbortController().signal;
  return withClient({ options, stop }, (client) => client.transport.request("GET", path)).then(
    () => undefined,
    (error: Fault) => error,
  );
}

describe("a failure names its cause", () => {
  test.each<[string, number, string, string, RegExp]>([
    [
      "a missing right",
      403,
      "Forbidden",
      "APITOKEN_E_RIGHT_MISSING",
      /^user "bob" lacks the right to list apitokens\.apitoken\.dev in the namespace shop; /,
    ],
    [
      "credentials that are not accepted",
      401,
      "Unauthorized",
      "APITOKEN_E_API_REFUSED",
      /does not accept your credentials/,
    ],
    ["a cluster without the CRDs", 404, "NotFound", "APITOKEN_E_DEFINITIONS_MISSING", /has no ApiTokens/],
  ])("of %s", async (_, code, reason, faultCode, message) => {
    const server = await startMisbehavingApiServer();
    onTestFinished(() => server.close());
    const words =
      'apitokens.apitoken.dev is forbidden: User "bob" cannot list resource "apitokens" in API group "apitoken.dev" in the namespace "shop"';
    server.calls(json(code, code === 403 ? { reason, message: words } : {}));
    const fault = await call({ kubeconfig: server.kubeconfigPath });
    expect(fault).toMatchObject({ faultCode, message: expect.stringMatching(message) });
  });

  test("of a server that says nothing, after the limit", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const kubeconfig = write(kubeconfigFor(`https://127.0.0.1:${port}`));
    expect((await call({ kubeconfig, timeoutMs: 1_000 }))?.message).toMatch(
      new RegExp(`^the API server https://127.0.0.1:${port}: it did not answer within 1s .*--request-timeout$`),
    );
  });

  test("of a server that is not there", async () => {
    const [port] = await findFreePorts(1);
    const fault = await call({ kubeconfig: write(kubeconfigFor(`https://127.0.0.1:${port}`)) });
    expect(fault?.problem).toBe("nothing listens at this address");
  });

  test("of a name that no resolver knows", async () => {
    const fault = await call({ kubeconfig: write(kubeconfigFor("https://api.invalid")) });
    expect(fault?.problem).toMatch(/^its name cannot be resolved/);
  });

  test("of a context that the kubeconfig does not have", async () => {
    const kubeconfig = write(kubeconfigFor("https://127.0.0.1:1"));
    expect((await call({ kubeconfig, context: "nowhere" }))?.message).toContain('it has no context "nowhere"');
  });
});

describe("a credentials plugin", () => {
  const plugin = (script: string) => ({
    exec: { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", script] },
  });

  test("is run with what kubectl tells it, and its token is used", async () => {
    const server = await startMisbehavingApiServer();
    onTestFinished(() => server.close());
    server.calls(json(200, {}));
    const script = `const { apiVersion, spec } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
      console.log(JSON.stringify({ apiVersion, kind: "ExecCredential", status: { token: "from-" + spec.interactive } }));`;
    expect(await call({ kubeconfig: write(kubeconfigFor(server.url, plugin(script))) })).toBeUndefined();
    expect(server.requests[0]?.headers.authorization).toBe("Bearer from-false");
  });

  test.each<[string, object, RegExp, number?]>([
    [
      "that fails is named, with its words",
      plugin("console.error('log in first'); process.exit(1)"),
      /failed: log in first;/,
    ],
    ["that is missing is named", { exec: { command: "no-such-plugin" } }, /"no-such-plugin" failed: spawn .*ENOENT/],
    [
      "that hangs is named",
      plugin("process.stdin.resume().on('end', () => process.exit())"),
      /credentials took longer than 1000 ms/,
      1_000,
    ],
  ])("%s", async (_, user, message, timeoutMs = 30_000) => {
    const kubeconfig = write(kubeconfigFor("https://127.0.0.1:1", user));
    const fault = await call({ kubeconfig, timeoutMs });
    expect(fault).toMatchObject({
      faultCode: "APITOKEN_E_KUBECONFIG_INVALID",
      message: expect.stringMatching(message),
    });
  });
});

test.each([
  [
    'secrets "a" is forbidden: User "bob" cannot get resource "secrets" in API group "" in the namespace "shop"',
    { user: "bob", verb: "get", resource: "secrets", namespace: "shop" },
  ],
  [
    'users "eve" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope',
    { user: "bob", verb: "impersonate", resource: "users" },
  ],
  [
    'pods "a" is forbidden: User "bob" cannot create resource "pods/exec" in API group "" in the namespace "shop": no',
    { user: "bob", verb: "create", resource: "pods/exec", namespace: "shop" },
  ],
  ['apitokens.apitoken.dev "a" is forbidden: exceeded quota: q, requested: 1', undefined],
])("of %s the missing right is read", (message, right) => {
  expect(findMissingRight({ message })).toEqual(right);
});
