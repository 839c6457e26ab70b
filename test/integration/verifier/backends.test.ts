/*
 * The examples of backends, each as a process of its own, before a real verifier; and a client that finds the endpoints by RFC 8414.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as oauth from "oauth4webapi";
import { test as base, describe, expect } from "vitest";
import { findFreePorts, startProcess, waitUntilReady } from "../../../local/processes.ts";
import { findPythonBackend } from "../../../local/setup/gateway-tools.mjs";
import { findSpringBackend } from "../../../local/setup/spring-backend.mjs";
import { createToken } from "../../../src/token/token-string.ts";
import { eventually } from "../../support/eventually.ts";
import { startTcpProxy } from "../../support/proxy.ts";
import { type GatewayWorld, startGatewayWorld } from "../../support/verifier/gateway-world.ts";

const CALLER = "owner = 'backend', scopes = '{apitoken:introspect}'";
const REVOKED = "revoked_at = now()";

/** A JVM takes seconds to start, and more of them on a busy machine. */
const READY_MS = 50_000;

const example = (file: string) => fileURLToPath(new URL(`../../../examples/verifier/${file}`, import.meta.url));

const python = findPythonBackend();
const spring = findSpringBackend();
const BACKENDS = [
  { name: "Node.js", program: process.execPath, args: [example("backend.ts")], env: {} },
  {
    name: "Python (skipped unless Python 3 is installed)",
    program: python?.python,
    args: [example("backend.py")],
    env: { PYTHONPATH: python?.packages, PYTHONUNBUFFERED: "1" },
  },
  {
    name: "Spring (skipped unless Maven and Java 17 are installed)",
    program: spring?.java,
    // One compiler instead of two halves the time to start.
    args: ["-XX:TieredStopAtLevel=1", "-jar", spring?.jar ?? ""],
    env: { SERVER_ADDRESS: "127.0.0.1" },
  },
];

const test = base
  .extend("settings", { scope: "file" }, () => ({}))
  .extend("world", { scope: "file" }, async ({ settings }, { onCleanup }) => {
    const world = await startGatewayWorld(settings);
    onCleanup(() => world.stop());
    return world;
  });

/** Starts a backend whose own token is in a file, as it is in a pod. */
async function startBackend(world: GatewayWorld, { name, program = "", args, env }: (typeof BACKENDS)[number]) {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-backend-"));
  const [port] = (await findFreePorts(1)) as [number];
  const tokenFile = join(folder, "token");
  const writeToken = (plaintext: string) => writeFileSync(tokenFile, plaintext);
  const caller = await world.issue(CALLER);
  writeToken(caller.plaintext);
  const verifier = new URL(world.verifier.introspectionUrl);
  const network = await startTcpProxy({ host: verifier.hostname, port: Number(verifier.port) });
  const backend = startProcess(program, args, {
    logPath: join(folder, "log"),
    env: {
      ...process.env,
      ...env,
      PORT: String(port),
      VERIFIER_URL: `http://127.0.0.1:${network.port}`,
      VERIFIER_TOKEN_FILE: tokenFile,
    },
  });
  const url = `http://127.0.0.1:${port}/orders`;
  await waitUntilReady(name, backend, async () => (await fetch(url)).status === 401, READY_MS);
  return {
    network,
    writeToken,
    ask: (token?: string) => fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    async stop() {
      await backend.stop();
      await network.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** How often the verifier had to read a row for an answer. */
async function countRows({ verifier }: GatewayWorld): Promise<string | undefined> {
  const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
  return /^apitoken_verifier_sources_total\{source="row"\} (\d+)$/m.exec(metrics)?.[1];
}

for (const example of BACKENDS) {
  const withBackend = test.extend("backend", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const backend = await startBackend(world, example);
    onCleanup(() => backend.stop());
    return backend;
  });

  describe.skipIf(example.program === undefined)(`the backend in ${example.name}`, () => {
    withBackend("serves a token with the scope, in its owner's name", async ({ world, backend }) => {
      const response = await backend.ask((await world.issue()).plaintext);
      expect([response.status, await response.text()]).toEqual([200, "the orders of alice\n"]);
    });

    withBackend(
      "refuses what is not good, and says whether a token or a scope is missing",
      async ({ world, backend }) => {
        const { status, headers } = await backend.ask();
        expect([status, headers.get("www-authenticate"), headers.get("set-cookie")]).toEqual([
          401,
          expect.stringMatching(/^Bearer\b/i),
          null,
        ]);
        for (const token of ["nonsense", createToken().plaintext, (await world.issue(REVOKED)).plaintext]) {
          const response = await backend.ask(token);
          expect([response.status, response.headers.get("www-authenticate")]).toEqual([
            401,
            expect.stringContaining('error="invalid_token"'),
          ]);
        }
        expect((await backend.ask((await world.issue("scopes = '{other}'")).plaintext)).status).toBe(403);
      },
    );

    withBackend("answers 503 while it is not known whether a token is good", async ({ world, backend }) => {
      const { plaintext } = await world.issue();
      await eventually(async () => {
        const before = await countRows(world);
        expect((await backend.ask(plaintext)).status).toBe(200);
        expect(await countRows(world), "the answer must come from memory").toBe(before);
      });
      await world.setDatabaseAway(true);
      try {
        const response = await backend.ask(createToken().plaintext);
        expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
        expect((await backend.ask(plaintext)).status).toBe(200);
      } finally {
        await world.setDatabaseAway(false);
      }
    });

    withBackend.for(["refuse", "stall"] as const)(
      "answers 503 while the verifier cannot be reached: %s",
      async (kind, { world, backend }) => {
        const { plaintext } = await world.issue();
        await backend.network.setMode({ kind });
        try {
          const response = await backend.ask(plaintext);
          expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
        } finally {
          await backend.network.setMode({ kind: "pass" });
        }
        await eventually(async () => expect((await backend.ask(plaintext)).status).toBe(200));
      },
    );

    withBackend(
      "asks with the token that its file has now, and never takes its own refusal for a no",
      async ({ world, backend }) => {
        const { plaintext } = await world.issue();
        const next = await world.issue(CALLER);
        backend.writeToken((await world.issue(`${CALLER}, ${REVOKED}`)).plaintext);
        expect((await backend.ask(plaintext)).status).toBe(503);
        backend.writeToken(next.plaintext);
        expect((await backend.ask(plaintext)).status).toBe(200);
      },
    );
  });
}

test("a client that knows only the issuer finds the endpoint, and introspects a token", async ({ world }) => {
  const issuer = new URL(world.verifier.introspectionUrl);
  const options = { [oauth.allowInsecureRequests]: true };
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client = { client_id: "orders" };
  const secret = (await world.issue(CALLER)).plaintext;
  const { id, plaintext } = await world.issue();
  for (const authentication of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
    const response = await oauth.introspectionRequest(server, client, authentication, plaintext, options);
    expect(await oauth.processIntrospectionResponse(server, client, response)).toMatchObject({
      active: true,
      sub: "alice",
      jti: id,
    });
  }
});
