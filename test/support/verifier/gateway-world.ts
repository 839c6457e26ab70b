/*
 * A gateway's surroundings in a test: a verifier whose database can go away, and the application behind the gateway. Each case is
 * asked through the gateway, and what the application has seen is compared with what it must see.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request as sendRequest } from "node:http";
import type { Duplex } from "node:stream";
import { expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../database.ts";
import { eventually } from "../eventually.ts";
import { startDatabaseProxy } from "../proxy.ts";
import { blockByHand, type HandMadeToken, issueByHand, startTestVerifier, type TestVerifier } from "../verifier.ts";
import { CASE_HEADER, type GatewayApp, type SeenRequest, startGatewayApp } from "./gateway-app.ts";
import {
  BLOCKED_OWNER,
  type GatewayCase,
  type GatewayRequest,
  ORDERS_SCOPE,
  type Passes,
  PROFILE_PATH,
  type Refused,
} from "./gateway-cases.ts";
import { identityOf } from "./identity.ts";

export interface GatewayWorld {
  readonly verifier: TestVerifier;
  readonly app: GatewayApp;
  /** Issues a token with the scope of the routes; `changes` are SQL assignments. */
  issue(changes?: string): Promise<HandMadeToken>;
  /** Resolves when the verifier has heard of everything that has been committed until now. */
  untilHeard(): Promise<void>;
  /** Resolves when the verifier has noticed. */
  setDatabaseAway(isAway: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** Starts everything but the gateway. The verifier trusts 127.0.0.1, where gateways of tests ask from. */
export async function startGatewayWorld(settings: Readonly<Record<string, string>> = {}): Promise<GatewayWorld> {
  const keyring = createKeyring();
  const databaseUrl = await createTestDatabase();
  await blockByHand(databaseUrl, BLOCKED_OWNER);
  const network = await startDatabaseProxy(databaseUrl);
  const app = await startGatewayApp();
  const verifier = await startTestVerifier({
    url: network.url,
    keyring,
    settings: { APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.1/32", ...settings },
  });
  await verifier.ready;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= verifier.stop();
    return stopped;
  };
  return {
    verifier: { ...verifier, stop },
    app,
    issue: (changes = "") => {
      const scope = `scopes = '{${ORDERS_SCOPE}}'`;
      return issueByHand(databaseUrl, keyring, /\bscopes = /.test(changes) ? changes : join(scope, changes));
    },
    async untilHeard() {
      const sinceMs = performance.now();
      await eventually(async () => {
        const askedAtMs = performance.now();
        const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
        const [, age] = /^apitoken_verifier_memory_age_seconds (\S+)$/m.exec(metrics) ?? [];
        return askedAtMs - Number(age) * 1_000 > sinceMs;
      });
    },
    async setDatabaseAway(isAway) {
      await network.setMode({ kind: isAway ? "refuse" : "pass" });
      await eventually(async () => {
        const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
        expect(metrics).toContain(`apitoken_verifier_fresh ${isAway ? 0 : 1}\n`);
      });
    },
    async stop() {
      await stop();
      await network.close();
      await app.stop();
    },
  };
}

const join = (...assignments: string[]) => assignments.filter((text) => text !== "").join(", ");

/** What a gateway has answered. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** What the application has seen of the request. */
  readonly seen: SeenRequest | undefined;
}

/** Sends a request to a gateway, byte for byte as it is given. Headers are names and values in turn. */
export async function askGateway(
  { app }: Pick<GatewayWorld, "app">,
  gatewayUrl: string,
  { method = "GET", path = "/orders", headers = [], body = "", isUpgrade = false, from }: GatewayRequest,
): Promise<GatewayAnswer> {
  const { hostname, port, host } = new URL(gatewayUrl);
  const id = randomUUID();
  const length = body === "" ? [] : ["Content-Length", String(Buffer.byteLength(body))];
  const connection = isUpgrade ? [] : ["Connection", "close"];
  const request = sendRequest({
    hostname,
    port,
    method,
    path,
    headers: ["Host", host, CASE_HEADER, id, ...connection, ...length, ...headers],
    agent: false,
    ...(from === undefined ? {} : { localAddress: from }),
  });
  const upgraded = new Promise<string>((resolve, reject) => {
    request.once("upgrade", (_, socket: Duplex) => void exchange(socket).then(resolve, reject));
  });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  request.end(body);
  const first = await Promise.race([upgraded, answered]);
  if (typeof first === "string") return { status: 101, headers: {}, body: first, seen: app.find(id) };
  const [response] = first;
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part);
  const { statusCode = 0, headers: received } = response;
  return { status: statusCode, headers: received, body: Buffer.concat(parts).toString(), seen: app.find(id) };
}

/** Sends bytes through an upgraded connection, and returns what comes back. */
async function exchange(socket: Duplex): Promise<string> {
  socket.write("ping");
  const [answer] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return answer.toString();
}

/** Runs a case through a gateway. `deviation` is what this gateway does otherwise than the table says, with a reason in its docs. */
export async function checkGatewayCase(
  world: GatewayWorld,
  gatewayUrl: string,
  { row, show = showBearer, request = {}, timesUsed = 0, isInOutage = false, expected }: GatewayCase,
  deviation: Partial<Refused> = {},
): Promise<void> {
  const token = await world.issue(row);
  const headers = [...show(token), ...(request.headers ?? [])];
  for (let count = 0; count < timesUsed; count += 1) {
    expect((await askGateway(world, gatewayUrl, { headers: showBearer(token) })).status).toBe(200);
  }
  if (isInOutage) {
    // What has changed must be read again before it counts, also without the database.
    await world.untilHeard();
    expect((await askGateway(world, gatewayUrl, { headers: showBearer(token) })).status).toBe(200);
    await world.setDatabaseAway(true);
  }
  try {
    const answer = await askGateway(world, gatewayUrl, { ...request, headers });
    if (expected.passes) expectPassed(answer, token, request, expected);
    else expectRefused(answer, { ...expected, ...deviation });
  } finally {
    if (isInOutage) await world.setDatabaseAway(false);
  }
}

const showBearer = ({ plaintext }: HandMadeToken): readonly string[] => ["Authorization", `Bearer ${plaintext}`];

function expectPassed(answer: GatewayAnswer, token: HandMadeToken, request: GatewayRequest, expected: Passes): void {
  const { method = "GET", path = "/orders", body = "", isUpgrade = false } = request;
  expect(answer.status).toBe(isUpgrade ? 101 : 200);
  if (isUpgrade) expect(answer.body).toBe("ping");
  expect(answer.seen).toMatchObject({ method, url: path, body });
  expect(identityOf(answer.seen?.rawHeaders ?? [])).toEqual([
    ["x-auth-expires-at", expect.stringMatching(/^\d{4}-\d\d-\d\dT/)],
    ["x-auth-name", "orders"],
    ["x-auth-namespace", "shop"],
    ["x-auth-owner", "alice"],
    ...(path.startsWith(PROFILE_PATH) ? [] : [["x-auth-scopes", ORDERS_SCOPE]]),
    ["x-auth-token-id", token.id],
    ["x-auth-token-state", expected.state ?? "live"],
  ]);
}

function expectRefused(answer: GatewayAnswer, { status, challenge, hasRetryAfter = false, rate }: Refused): void {
  expect(answer.seen, "the application must not be asked").toBeUndefined();
  expect(answer.status).toBe(status);
  expect(answer.headers["www-authenticate"]).toBe(challenge);
  expect(answer.headers["retry-after"] !== undefined).toBe(hasRetryAfter);
  if (rate === undefined) expect(answer.headers).not.toHaveProperty("ratelimit");
  else expect(answer.headers.ratelimit).toMatch(rate);
}
