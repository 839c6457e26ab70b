/*
 * The gRPC port of a running verifier: the same answers as /verify, whatever a client sends, and no call lost when it ends.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { dirname, join } from "node:path";
import { test as base, describe, expect, inject } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import {
  CHECK_PATH,
  type CheckClient,
  openCheckClient,
  openMovingClient,
  prefixed,
  readFields,
  type SetHeader,
  writeCheckRequest,
} from "../../support/verifier/check-client.ts";
import { blockByHand, issueByHand, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    await blockByHand(databaseUrl, "blocked");
    const verifier = await startTestVerifier({ url: databaseUrl, keyring });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  })
  /** The network between a database and a verifier of the test's own. */
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  .extend("client", ({ verifier }, { onCleanup }) => {
    const client = openCheckClient(urlOf(verifier));
    onCleanup(() => client.close());
    return client;
  });

const urlOf = ({ grpcPort }: TestVerifier) => `http://127.0.0.1:${grpcPort}`;
const bearer = (plaintext: string) => ["authorization", `Bearer ${plaintext}`];
const PAST = "expires_at = now() - interval '1 minute'";

/** Headers as they are compared with those of /verify. */
const withoutActions = (headers: readonly SetHeader[] = []) =>
  headers.map(([name, value]) => [name, value]).sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));

test("every token gets the answer of /verify: the same status, the same headers", async ({
  databaseUrl,
  verifier,
  client,
}) => {
  const rows = [
    "owner = 'shop/50%'",
    "revoked_at = now() + interval '1 minute'",
    `${PAST}, grace_seconds = 3600, grace_scopes = '{read}'`,
    `${PAST}, grace_seconds = 3600, grace_scopes = '{write}'`,
    "scopes = '{}'",
    PAST,
    "revoked_at = now()",
    "owner = 'blocked'",
    "allowed_cidrs = '{10.0.0.0/8}'",
  ];
  const issued = await Promise.all(rows.map((row) => issueByHand(databaseUrl, keyring, row)));
  const strings = [...issued.map(({ plaintext }) => plaintext), createToken().plaintext, "nonsense", "a, b"];
  for (const [place, plaintext] of strings.entries()) {
    const response = await fetch(`${verifier.gatewayUrl}/verify/scope/read/-/`, {
      headers: { authorization: `Bearer ${plaintext}` },
    });
    const question = { headers: bearer(plaintext), context: { scope: "read" }, peer: "127.0.0.1" };
    const outcome = await client.check(question);
    expect(await client.check(question), "from what was kept").toEqual(outcome);
    const expected = [...response.headers].filter(([name]) =>
      response.ok ? name.startsWith("x-auth-") : ["www-authenticate", "cache-control"].includes(name),
    );
    expect(outcome.denied?.status ?? 200, rows[place]).toBe(response.status);
    expect(withoutActions(outcome.ok?.headers ?? outcome.denied?.headers), rows[place]).toEqual(
      withoutActions(expected.map(([name, value]) => [name, value, 0])),
    );
  }
});

test("all refusals are the same, byte for byte", async ({ databaseUrl, client }) => {
  const good = await issueByHand(databaseUrl, keyring);
  const other = createToken();
  const dead = await Promise.all(
    [PAST, "revoked_at = now()", "owner = 'blocked'", "allowed_cidrs = '{10.0.0.0/8}'"].map((row) =>
      issueByHand(databaseUrl, keyring, row),
    ),
  );
  const strings = [
    ...dead.map(({ plaintext }) => plaintext),
    other.plaintext,
    other.plaintext.replace(other.id, good.id),
    "nonsense",
  ];
  const answers = strings.map(async (plaintext) => {
    const { message } = await client.call(CHECK_PATH, prefixed(writeCheckRequest({ headers: bearer(plaintext) })));
    return message?.toString("hex");
  });
  const distinct = new Set(await Promise.all(answers));
  expect(distinct.size).toBe(1);
  expect(distinct.has(undefined)).toBe(false);
});

test("the client's address is what the gateway says, and what trusted proxies have added to it", async ({
  databaseUrl,
  onTestFinished,
}) => {
  const settings = { APITOKEN_VERIFIER_TRUSTED_PROXIES: "192.0.2.0/24" };
  const trusting = await startTestVerifier({ url: databaseUrl, keyring, settings });
  onTestFinished(() => trusting.stop());
  await trusting.ready;
  const client = openCheckClient(urlOf(trusting));
  const { plaintext } = await issueByHand(databaseUrl, keyring, "allowed_cidrs = '{10.0.0.0/8,2001:db8::/32}'");
  const ask = async (peer: string | undefined, forwardedFor?: string) => {
    const headers = [...bearer(plaintext), ...(forwardedFor === undefined ? [] : ["x-forwarded-for", forwardedFor])];
    return (await client.check({ headers, ...(peer === undefined ? {} : { peer }) })).code;
  };
  expect(await ask("10.1.2.3")).toBe(0);
  expect(await ask("2001:db8::1")).toBe(0);
  expect(await ask("10.1.2.3", "198.51.100.1")).toBe(0);
  expect(await ask("192.0.2.7", "198.51.100.1, 10.1.2.3, 192.0.2.9")).toBe(0);
  expect(await ask("198.51.100.1", "10.1.2.3")).toBe(16);
  expect(await ask("192.0.2.7", "10.1.2.3, 198.51.100.1")).toBe(16);
  expect(await ask(undefined)).toBe(16);
  client.close();
});

test("a client that tries tokens is asked to wait, as over HTTP", async ({ databaseUrl, onTestFinished }) => {
  const settings = { APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.1/32", APITOKEN_VERIFIER_FAILURES_PER_MINUTE: "3" };
  const strict = await startTestVerifier({ url: databaseUrl, keyring, settings });
  onTestFinished(() => strict.stop());
  await strict.ready;
  const client = openCheckClient(urlOf(strict));
  const guess = (peer: string) => client.check({ headers: bearer(createToken().plaintext), peer });
  for (let count = 0; count < 3; count += 1) expect((await guess("203.0.113.9")).denied?.status).toBe(401);
  const { code, denied, error } = await guess("203.0.113.9");
  expect({ code, status: denied?.status, error }).toEqual({ code: 8, status: 429, error: undefined });
  expect(denied?.headers.find(([name]) => name === "retry-after")?.[1]).toBe("60");
  expect((await guess("203.0.113.10")).denied?.status).toBe(401);
  client.close();
});

test("shadow mode lets everything pass and counts it; a route that cannot be understood lets nothing pass", async ({
  databaseUrl,
  verifier,
  client,
}) => {
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  expect((await client.check({ context: { shadow: "true" } })).code).toBe(0);
  const misspelled = await client.check({ headers: bearer(plaintext), context: { scopes: "read" } });
  expect([misspelled.code, misspelled.error?.status]).toEqual([13, 500]);
  const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
  expect(metrics).toContain('apitoken_verifier_answers_total{face="shadow",result="none"} 1\n');
  expect(metrics).toContain('apitoken_verifier_answers_total{face="grpc",result="misconfigured"} 1\n');
});

test("a use through gRPC is reported like any other", async ({ databaseUrl }) => {
  const verifier = await startTestVerifier({ url: databaseUrl, keyring });
  await verifier.ready;
  const token = await issueByHand(databaseUrl, keyring);
  const client = openCheckClient(urlOf(verifier));
  expect((await client.check({ headers: bearer(token.plaintext), peer: "203.0.113.5" })).code).toBe(0);
  client.close();
  await verifier.stop();
  expect(verifier.log.join("")).not.toContain(token.plaintext);
  const sql = "select host(address) as address from apitoken.token_uses where token_id = $1";
  expect(await runAsSuperuser(databaseUrl, sql, [token.id])).toEqual([{ address: "203.0.113.5" }]);
});

const HEALTHS: Readonly<Record<number, string>> = { 1: "SERVING", 2: "NOT_SERVING" };

/** What the health service says of a service: its word, or gRPC's status. */
async function readHealth(client: Pick<CheckClient, "call">, service: string): Promise<string | number> {
  const name = Buffer.from(service);
  const request = service === "" ? Buffer.alloc(0) : Buffer.concat([Buffer.from([10, name.length]), name]);
  const { grpcStatus, message } = await client.call("/grpc.health.v1.Health/Check", prefixed(request));
  const [field] = grpcStatus === 0 ? readFields(message ?? Buffer.alloc(0)) : [];
  return field === undefined ? grpcStatus : (HEALTHS[Number(field.value)] ?? `${field.value}`);
}

const SERVICES = ["", "envoy.service.auth.v3.Authorization"];

test("the health service answers for the server and for the check, and for nothing else", async ({ client }) => {
  for (const service of SERVICES) expect(await readHealth(client, service)).toBe("SERVING");
  expect(await readHealth(client, "other")).toBe(5);
});

test("nobody is sent to a verifier that has not read the tokens yet, or that stops, although it answers", async ({
  databaseUrl,
  network,
  onTestFinished,
}) => {
  await network.setMode({ kind: "refuse" });
  const settings = { APITOKEN_VERIFIER_DRAIN: "5s" };
  const verifier = await startTestVerifier({ url: network.url, keyring, settings });
  onTestFinished(() => verifier.stop());
  const readiness = async () => {
    const client = openCheckClient(urlOf(verifier)); // as a kubelet does it, which opens a connection each time
    try {
      const healths = await Promise.all(SERVICES.map((service) => readHealth(client, service)));
      return [(await fetch(`${verifier.httpUrl}/readyz`)).status, ...healths];
    } finally {
      client.close();
    }
  };
  expect(await readiness()).toEqual([503, "NOT_SERVING", "NOT_SERVING"]);
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  const verify = () => fetch(`${verifier.gatewayUrl}/verify`, { headers: { authorization: `Bearer ${plaintext}` } });
  expect((await verify()).status).toBe(503);
  await network.setMode({ kind: "pass" });
  await verifier.ready;
  expect(await readiness()).toEqual([200, "SERVING", "SERVING"]);
  expect((await verify()).headers.get("connection")).toBe("keep-alive");
  const stopped = verifier.stop();
  expect(await readiness()).toEqual([503, "NOT_SERVING", "NOT_SERVING"]);
  const last = await verify();
  expect([last.status, last.headers.get("connection")]).toEqual([200, "close"]);
  await stopped;
});

describe("whatever a client sends, it gets an answer of gRPC and nobody else notices:", () => {
  const compressed = prefixed(writeCheckRequest({}));
  compressed[0] = 1;
  const announced = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);
  const shouts = { "content-type": "application/grpc+proto;x=y" };

  test.for<[string, string, Buffer, Record<string, string>, number]>([
    ["a method that does not exist", "/envoy.service.auth.v3.Authorization/Watch", prefixed(Buffer.alloc(0)), {}, 12],
    ["a path that is a property of every object", "/constructor", prefixed(Buffer.alloc(0)), {}, 12],
    ["an empty message", CHECK_PATH, prefixed(Buffer.alloc(0)), {}, 0],
    ["another content type of gRPC", CHECK_PATH, prefixed(Buffer.alloc(0)), shouts, 0],
    ["no message at all", CHECK_PATH, Buffer.alloc(0), {}, 3],
    ["a message that breaks off", CHECK_PATH, prefixed(writeCheckRequest({})).subarray(0, -1), {}, 3],
    ["a message that is none", CHECK_PATH, prefixed(Buffer.from("not a message")), {}, 3],
    ["a compressed message", CHECK_PATH, compressed, {}, 12],
    ["the announcement of 2 GB", CHECK_PATH, announced, {}, 8],
    ["a message of 300 kB", CHECK_PATH, prefixed(Buffer.alloc(300_000)), {}, 8],
    ["a message of 200 kB", CHECK_PATH, prefixed(writeCheckRequest({ headers: ["a", "x".repeat(200_000)] })), {}, 0],
  ])("%s", async ([, path, message, headers, grpcStatus], { client }) => {
    expect(await client.call(path, message, headers)).toMatchObject({ httpStatus: 200, grpcStatus });
    expect((await client.check({})).code).toBe(16);
  });

  test("what is not gRPC", async ({ client }) => {
    const { httpStatus } = await client.call(CHECK_PATH, Buffer.from("{}"), { "content-type": "application/json" });
    expect(httpStatus).toBe(415);
  });

  test("HTTP/1.1", async ({ verifier, client }) => {
    await expect(fetch(urlOf(verifier))).rejects.toThrow();
    expect((await client.check({})).code).toBe(16);
  });

  test("a connection that is reset in the middle of a frame", async ({ verifier, client }) => {
    const socket = connectSocket(verifier.grpcPort, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0");
    await new Promise((resolve) => socket.once("data", resolve)); // the server's settings
    socket.resetAndDestroy();
    expect((await client.check({})).code).toBe(16);
  });
});

test("while it stops, connections move away and no call is lost", async ({ databaseUrl }) => {
  const settings = { APITOKEN_VERIFIER_DRAIN: "8s" };
  const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
  await verifier.ready;
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  const codes: number[] = [];
  const client = openMovingClient(urlOf(verifier));
  let hasStopped = false;
  const work = async () => {
    while (!hasStopped) codes.push((await client.check({ headers: bearer(plaintext) })).code);
  };
  const works = Promise.all([work(), work(), work()]);
  await eventually(() => codes.length > 100);
  const stopped = verifier.stop();
  await eventually(() => client.connections === 2, { timeoutMs: 5_000 }); // long before it takes no more
  const before = codes.length;
  await eventually(() => codes.length > before + 20);
  hasStopped = true;
  await works;
  client.close();
  await stopped;
  expect(new Set(codes)).toEqual(new Set([0]));
});

test("it speaks TLS with the certificate of the other ports", async ({ databaseUrl, onTestFinished }) => {
  const folder = join(dirname(inject("servers").kubeconfigPath), "certs");
  const settings = {
    APITOKEN_VERIFIER_TLS_CERT: join(folder, "apiserver.crt"),
    APITOKEN_VERIFIER_TLS_KEY: join(folder, "apiserver.key"),
  };
  const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
  onTestFinished(() => verifier.stop());
  const ca = readFileSync(settings.APITOKEN_VERIFIER_TLS_CERT, "utf8");
  const client = openCheckClient(`https://127.0.0.1:${verifier.grpcPort}`, ca);
  expect((await client.check({})).code).toBe(16);
  client.close();
  const plain = connect(urlOf(verifier)).on("error", () => {});
  await once(plain, "close");
  expect(plain.remoteSettings.maxConcurrentStreams, "the server's settings have not come").toBeUndefined();
});
