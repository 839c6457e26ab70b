import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KubeApiError, KubeUnreachableError } from "../../../src/kube/api-error.ts";
import { createTransport, type KubeTransport, type TransportOptions } from "../../../src/kube/transport.ts";
import { eventually } from "../../support/eventually.ts";
import {
  type Answer,
  formatKubeconfig,
  json,
  lines,
  listOf,
  type MisbehavingApiServer,
  refuse,
  startMisbehavingApiServer,
  stream,
} from "./misbehaving-api-server.ts";

const PATH = "/api/v1/things/a";
const SECRET_PATH = "/api/v1/namespaces/n/secrets/a";

let server: MisbehavingApiServer;
let transports: KubeTransport[];

beforeEach(async () => {
  server = await startMisbehavingApiServer();
  transports = [];
});

afterEach(async () => {
  await Promise.all(transports.map((transport) => transport.close()));
  await server.close();
});

async function connect(options: Partial<TransportOptions> = {}): Promise<KubeTransport> {
  const transport = await createTransport({ userAgent: "test/1", kubeconfigPath: server.kubeconfigPath, ...options });
  transports.push(transport);
  return transport;
}

async function failureOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => expect.fail("it did not fail"),
    (error: Error) => error,
  );
}

/** Answers only requests with the current token. */
function guardedBy(token: () => string): Answer {
  return (response, request) => {
    const isKnown = request.headers.authorization === `Bearer ${token()}`;
    (isKnown ? json(200, { ok: true }) : refuse(401, "Unauthorized"))(response, request);
  };
}

describe("of large objects only the fields are read that the caller needs", () => {
  const large = { metadata: { name: "a", managedFields: ["x".repeat(100_000)] }, spec: { size: 1 } };
  const small = { metadata: { name: "b", managedFields: [] } };
  const fields = { metadata: { name: "whole" } } as const;
  const read = { metadata: { name: "a" } };

  test("in the answer to a call", async () => {
    server.calls(json(200, large));
    const transport = await connect();
    expect(await transport.request("GET", PATH, { fields })).toEqual(read);
    expect(await transport.request("GET", PATH)).toEqual(large);
  });

  test("in a list, whose items are handed over one by one", async () => {
    server.calls(listOf("7", [large, small], "more"));
    const seen: unknown[] = [];
    const readItem = (item: unknown) => seen.push(item);
    const answer = await (await connect()).request("GET", PATH, { fields, readItem });
    expect(seen).toEqual([read, small]);
    expect(answer).toEqual({ metadata: { resourceVersion: "7", continue: "more" }, items: [1, 2] });
  });

  test("in a list that is compressed", async () => {
    const text = gzipSync(JSON.stringify({ metadata: { resourceVersion: "7" }, items: [large, small] }));
    server.calls((response) => response.writeHead(200, { "content-encoding": "gzip" }).end(text));
    const answer = await (await connect({ isCompressed: true })).request("GET", PATH, {
      fields,
      readItem: (item) => item,
    });
    expect(answer).toEqual({ metadata: { resourceVersion: "7" }, items: [read, small] });
    expect(server.requests[0]?.headers["accept-encoding"]).toBe("gzip");
  });

  test("in a watch", async () => {
    server.watches(stream(lines(["ADDED", large], ["ADDED", small]), "close"));
    const seen: unknown[] = [];
    const options = { signal: new AbortController().signal, stallMs: 10_000, fields };
    for await (const event of (await connect()).watch(PATH, {}, options)) seen.push(event);
    expect(seen).toEqual([
      { type: "ADDED", object: read },
      { type: "ADDED", object: small },
    ]);
  });

  test.each([
    ["that is cut off", '{"items":[{"data":"apt_plaintext"},{"data":'],
    ["with text in it", '{"items":[{"data":"apt_plaintext"},apt_plaintext]}'],
  ])("a list %s is an error, which does not quote it", async (_how, text) => {
    server.calls((response) => void response.end(text));
    const error = await failureOf((await connect()).request("GET", SECRET_PATH, { fields, readItem: (item) => item }));
    expect(error).toBeInstanceOf(KubeUnreachableError);
    expect(inspect(error, { depth: 10 })).not.toContain("apt_plaintext");
  });
});

describe("a call", () => {
  test("sends JSON with the kubeconfig's credentials, and resolves with the answer", async () => {
    let body = "";
    server.calls((response, request) => {
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => json(201, { metadata: { name: "a" } })(response, request));
    });
    const transport = await connect();
    const answer = await transport.request("PATCH", PATH, {
      query: { fieldManager: "a b" },
      body: { spec: {} },
      contentType: "application/merge-patch+json",
    });
    expect(answer).toEqual({ metadata: { name: "a" } });
    expect(JSON.parse(body)).toEqual({ spec: {} });
    expect(server.requests[0]).toMatchObject({ method: "PATCH", path: PATH });
    expect(server.requests[0]?.query.get("fieldManager")).toBe("a b");
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: "Bearer secret-of-the-kubeconfig",
      "user-agent": "test/1",
      "content-type": "application/merge-patch+json",
    });
  });

  test("that is rejected throws the code, the reason and the server's message", async () => {
    server.calls(refuse(409, "Conflict"));
    const error = await failureOf((await connect()).request("PUT", PATH, { body: {} }));
    expect(error).toBeInstanceOf(KubeApiError);
    expect(error).toMatchObject({ code: 409, reason: "Conflict", retryAfterMs: undefined });
    expect(error.message).toBe(`PUT ${PATH} was answered with 409 Conflict: refused: Conflict`);
  });

  test.each([
    ["refused with a quote", json(422, { reason: "Invalid", message: "data: apt_plaintext" })],
    ["answered with half of it", (response) => void response.end('{"data":{"token":"apt_plaintext"')],
    ["answered with text", (response) => void response.end("apt_plaintext")],
  ] satisfies [string, Answer][])("of a Secret, %s, fails without a word of it", async (_how, answer) => {
    server.calls(answer);
    const error = await failureOf((await connect()).request("GET", SECRET_PATH));
    expect(inspect(error, { depth: 10 })).toContain(SECRET_PATH);
    expect(inspect(error, { depth: 10 })).not.toContain("apt_plaintext");
  });

  test.each([
    ["never answered", () => {}],
    ["answered in part only", (response) => void response.writeHead(200).write('{"a":')],
  ] satisfies [string, Answer][])("that is %s fails when its time is over", async (_how, answer) => {
    server.calls(answer);
    const transport = await connect();
    const startedAtMs = performance.now();
    const error = await failureOf(transport.request("GET", PATH, { timeoutMs: 150 }));
    expect(error).toBeInstanceOf(KubeUnreachableError);
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
    await eventually(() => server.openRequests === 0);
  });

  test("that its caller aborts fails at once", async () => {
    server.calls(() => {});
    const giveUp = new AbortController();
    const failure = failureOf((await connect()).request("GET", PATH, { signal: giveUp.signal }));
    await eventually(() => server.requests.length === 1);
    giveUp.abort();
    expect(await failure).toBeInstanceOf(KubeUnreachableError);
    await eventually(() => server.openRequests === 0);
  });

  test("whose compressed answer breaks off fails as unreachable", async () => {
    const text = gzipSync(JSON.stringify({ value: "x".repeat(1_000) }));
    server.calls((response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": text.length });
      response.write(text.subarray(0, 20), () => response.destroy());
    });
    const transport = await connect({ isCompressed: true });
    expect(await failureOf(transport.request("GET", PATH))).toBeInstanceOf(KubeUnreachableError);
  });

  test("without a server fails as unreachable", async () => {
    const kubeconfigPath = join(server.folder, "nobody");
    writeFileSync(kubeconfigPath, formatKubeconfig("http://127.0.0.1:1", {}));
    const error = await failureOf((await connect({ kubeconfigPath })).request("GET", PATH));
    expect(error).toBeInstanceOf(KubeUnreachableError);
  });

  test("that comes too soon (429) is repeated when the server asks, if there is time", async () => {
    server.calls(
      refuse(429, "TooManyRequests", { "retry-after": "0" }),
      json(429, { reason: "TooManyRequests", details: { retryAfterSeconds: 1 } }),
      json(200, { ok: true }),
    );
    const transport = await connect();
    expect(await transport.request("POST", PATH, { body: {} })).toEqual({ ok: true });
    expect((server.requests[2]?.atMs ?? 0) - (server.requests[1]?.atMs ?? 0)).toBeGreaterThanOrEqual(990);

    server.calls(refuse(429, "TooManyRequests", { "retry-after": "30" }));
    const startedAtMs = performance.now();
    const error = await failureOf(transport.request("POST", PATH, { body: {}, timeoutMs: 2_000 }));
    expect(error).toMatchObject({ code: 429, retryAfterMs: 30_000 });
    expect(performance.now() - startedAtMs).toBeLessThan(1_000);
  });

  test("that always comes too soon (429) fails in the end", async () => {
    server.calls(refuse(429, "TooManyRequests", { "retry-after": "0" }));
    expect(await failureOf((await connect()).request("GET", PATH))).toMatchObject({ code: 429 });
    expect(server.requests.length).toBe(6);
  });
});

describe("connections", () => {
  test("are shared by all calls, up to the limit, and watches have their own", async () => {
    const held: (() => void)[] = [];
    server.calls((response, request) => void held.push(() => json(200, {})(response, request)));
    const transport = await connect({ maxConnections: 4 });
    const stop = new AbortController();
    const watches = Array.from({ length: 5 }, async () => {
      for await (const _ of transport.watch(PATH, {}, { signal: stop.signal, stallMs: 60_000 }));
    });
    await eventually(() => server.requests.length === 5);
    const calls = Array.from({ length: 20 }, () => transport.request("GET", PATH));
    await eventually(() => held.length === 4);
    const urgent = transport.request("GET", PATH, { isUrgent: true });
    await eventually(() => held.length === 5);
    expect(server.openConnections).toBe(10);
    held.pop()?.();
    await urgent;
    await eventually(() => {
      for (const answer of held.splice(0)) answer();
      return server.requests.length === 26;
    });
    for (const answer of held.splice(0)) answer();
    await Promise.all(calls);
    expect(server.openConnections).toBeLessThanOrEqual(10);
    stop.abort();
    await Promise.allSettled(watches);
  });

  test("many calls at once under one signal cause no warning from Node", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on("warning", onWarning);
    server.calls(json(200, {}));
    const transport = await connect();
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 300 }, () => transport.request("GET", PATH, { signal })));
    await new Promise(setImmediate);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
});

describe("credentials", () => {
  /** A plugin that prints the current token, and records that it ran. */
  function writePlugin(): { user: object; rotate: (token: string) => void; runs: () => number } {
    const tokenPath = join(server.folder, "token");
    const runsPath = join(server.folder, "runs");
    writeFileSync(runsPath, "");
    const script = `
      const fs = require("node:fs");
      fs.appendFileSync(${JSON.stringify(runsPath)}, "x");
      const token = fs.readFileSync(${JSON.stringify(tokenPath)}, "utf8");
      console.log(JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token } }));`;
    return {
      user: {
        exec: { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", script] },
      },
      rotate: (token) => writeFileSync(tokenPath, token),
      runs: () => readFileSync(runsPath, "utf8").length,
    };
  }

  test("of a plugin are fetched once, and once more when the server no longer accepts them (401)", async () => {
    const plugin = writePlugin();
    let token = "first";
    plugin.rotate(token);
    server.calls(guardedBy(() => token));
    writeFileSync(server.kubeconfigPath, formatKubeconfig(server.url, plugin.user));
    const transport = await connect();
    await Promise.all(Array.from({ length: 10 }, () => transport.request("GET", PATH)));
    expect(plugin.runs()).toBe(1);

    token = "second";
    plugin.rotate(token);
    await Promise.all(Array.from({ length: 10 }, () => transport.request("GET", PATH)));
    expect(plugin.runs()).toBe(2);
  });

  test("of a token file, as a pod has it, are read again at once after a 401, by calls and watches", async () => {
    const tokenFile = join(server.folder, "token");
    let token = "first";
    writeFileSync(tokenFile, `${token}\n`);
    const answer = guardedBy(() => token);
    server.calls(answer);
    server.watches(answer, (response, request) => {
      const isKnown = request.headers.authorization === "Bearer third";
      (isKnown ? stream(lines(["ADDED", { seen: true }]), "close") : refuse(401, "Unauthorized"))(response, request);
    });
    const user = { "auth-provider": { name: "tokenFile", config: { tokenFile } } };
    writeFileSync(server.kubeconfigPath, formatKubeconfig(server.url, user));
    const transport = await connect();
    await transport.request("GET", PATH);
    token = "second";
    writeFileSync(tokenFile, token);
    expect(await transport.request("GET", PATH)).toEqual({ ok: true });

    token = "third";
    writeFileSync(tokenFile, token);
    const events = [];
    const { signal } = new AbortController();
    for await (const event of transport.watch(PATH, {}, { signal, stallMs: 1_000 })) events.push(event);
    expect(events).toEqual([{ type: "ADDED", object: { seen: true } }]);
  });

  test("that are simply wrong end in a 401 after one more try", async () => {
    server.calls(refuse(401, "Unauthorized"));
    expect(await failureOf((await connect()).request("GET", PATH))).toMatchObject({ code: 401 });
    expect(server.requests.length).toBe(2);
  });

  test("of a plugin that hangs do not delay a call beyond its timeout", async () => {
    const exec = { command: process.execPath, args: ["-e", "setTimeout(() => {}, 5_000)"] };
    writeFileSync(server.kubeconfigPath, formatKubeconfig(server.url, { exec }));
    const transport = await connect({ requestTimeoutMs: 200 });
    const error = await failureOf(transport.request("GET", PATH));
    expect(error).toBeInstanceOf(KubeUnreachableError);
    expect(error.cause).toMatchObject({ message: "the kubeconfig: its credentials took longer than 200 ms" });
  });

  test("may be a user's name and password", async () => {
    server.calls(json(200, {}));
    writeFileSync(server.kubeconfigPath, formatKubeconfig(server.url, { username: "ann", password: "pass" }));
    await (await connect()).request("GET", PATH);
    const expected = `Basic ${Buffer.from("ann:pass").toString("base64")}`;
    expect(server.requests[0]?.headers.authorization).toBe(expected);
  });
});

test.each([
  ["that is not there", undefined, /the kubeconfig .*kc: it cannot be read/],
  ["that is not YAML", "users: [{user: {token: hidden-token}", /the kubeconfig .*kc: it is malformed/],
  ["that is empty", "", /the kubeconfig .*kc: it is malformed/],
  ["without a current context", JSON.stringify({ clusters: [], contexts: [], users: [] }), /set its current-context/],
])("a kubeconfig %s is refused with a reason, and nothing of it is quoted", async (_what, text, message) => {
  const kubeconfigPath = join(server.folder, "kc");
  if (text !== undefined) writeFileSync(kubeconfigPath, text);
  const error = await failureOf(connect({ kubeconfigPath }));
  expect(error.message).toMatch(message);
  expect(inspect(error, { depth: 10 })).not.toContain("hidden-token");
});
