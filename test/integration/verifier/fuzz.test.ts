/*
 * Whatever anybody sends, the verifier answers or closes the connection: it never ends, never fails, and never grows.
 * FUZZ_SECONDS=600 runs it for ten minutes. A failure names its seed, and the smallest request that fails.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import fc from "fast-check";
import { test as base, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { prepareVerifier } from "../../support/verifier/program.ts";
import { type HandMadeToken, issueByHand } from "../../support/verifier.ts";

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 10);
const LONGEST_ANSWER_MS = 5_000;
const GROWTH_MIB = 40;
const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("good", { scope: "file" }, ({ databaseUrl }) =>
    issueByHand(databaseUrl, keyring, "scopes = '{read,apitoken:introspect,apitoken:explain}'"),
  )
  /** A verifier in a process of its own, whose memory can be measured and which could end. */
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const settings = { APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.0/8", APITOKEN_LOG_LEVEL: "info" };
    const nodeOptions = ["--max-semi-space-size=16"];
    const program = await prepareVerifier({ url: databaseUrl, keyring, settings, nodeOptions });
    const running = program.start();
    onCleanup(() => program.close());
    await program.untilReady();
    return {
      ...program,
      hasEnded: running.hasEnded,
      residentMib: () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, "utf8"))?.[1]) / 1_024,
    };
  });

/** Sends bytes, and then nothing more. Resolves with what came back when the connection is closed. */
function exchange(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const parts: Buffer[] = [];
    const limit = setTimeout(() => {
      socket.destroy();
      reject(new Error("the connection was neither answered nor closed"));
    }, LONGEST_ANSWER_MS);
    socket.on("data", (part) => void parts.push(part));
    socket.on("error", () => {}); // a reset is an answer
    socket.on("close", () => {
      clearTimeout(limit);
      resolve(Buffer.concat(parts).toString("latin1"));
    });
    socket.end(bytes);
  });
}

/** Throws unless each answer is a refusal, a good one, or "don't know". */
function expectNoFailure(answers: string): void {
  const statuses = [...answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
  for (const status of statuses) expect(status < 500 || status === 503, answers.slice(0, 200)).toBe(true);
}

const visible = fc.string({ unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)) });
const latin = fc.string({ unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)) });

/** What could stand where a token is expected. */
const tokenish = ({ plaintext, id }: HandMadeToken) =>
  fc.oneof(
    fc.constant(plaintext),
    fc.constantFrom("", "apt_", `apt_${id}`, `${plaintext} `, plaintext.repeat(50), "%", "a=", "\u0000"),
    fc.constant(0).map(() => createToken().plaintext),
    visible,
    latin,
  );

const scheme = fc.constantFrom("Bearer ", "bearer  ", "Basic ", "BEARER", "", "Digest ");
const base64 = (text: fc.Arbitrary<string>) =>
  text.map((each) => Buffer.from(`x:${each}`, "latin1").toString("base64"));

const aHeader = (good: HandMadeToken) =>
  fc.oneof(
    fc
      .tuple(scheme, fc.oneof(tokenish(good), base64(tokenish(good))))
      .map(([kind, text]) => `Authorization: ${kind}${text}`),
    latin.map((text) => `X-Forwarded-For: ${text}`),
    fc.constantFrom(
      "X-Forwarded-For: 203.0.113.1, ::ffff:10.0.0.1, [fe80::1%25]:80",
      "X-Forwarded-For: ::,::1,1::2::3",
      "Expect: 100-continue",
      "Upgrade: websocket\r\nConnection: Upgrade",
      "Content-Type: application/x-www-form-urlencoded",
      "Content-Type: application/json",
      "Host: ",
      "Transfer-Encoding: chunked",
    ),
    fc.tuple(visible, latin).map(([name, value]) => `X-${name.replaceAll(":", "")}: ${value}`),
  );

const aPath = fc.oneof(
  fc.constantFrom(
    "/verify",
    "/verify/-/",
    "/shadow",
    "/shadow/scope/%/-/x",
    "/verify/scope/read/scope/%E0%A4%A/-/",
    "/verify/nginx/scope/../-/../../x?scope=y",
    "/verify?scope=read&scope=%ff&nginx",
    "/token",
    "/introspect",
    "/tokenreview",
    "/revoke",
    "/leaks",
    "/v1/revoke_tokens",
    "/explain",
    "/.well-known/oauth-authorization-server",
    "/__proto__",
    "/constructor",
    "*",
    "http://[::1/verify",
    `/verify/${"scope/x/".repeat(3_000)}-/`,
  ),
  visible.map((text) => `/verify/${text}`),
  visible.map((text) => `/${text}`),
);

const aBody = (good: HandMadeToken) =>
  fc.oneof(
    fc.constant(""),
    latin,
    fc.tuple(tokenish(good), latin).map(([token, rest]) => `token=${encodeURIComponent(token)}&${rest}`),
    fc.json(),
    tokenish(good).map((token) => JSON.stringify({ tokens: [token, "x"], extra: [[[]]] })),
    tokenish(good).map((token) =>
      JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } }),
    ),
    fc.constantFrom(`{"tokens":${"[".repeat(50_000)}`, `token=${"%41".repeat(60_000)}`),
  );

const aRequest = (good: HandMadeToken) =>
  fc
    .record({
      method: fc.constantFrom("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "CONNECT", "TRACE", "PATCH"),
      path: aPath,
      headers: fc.array(aHeader(good), { maxLength: 6 }),
      body: aBody(good),
      lie: fc.constantFrom(0, 0, 0, 0, -1, 1, 1e12),
    })
    .map(({ method, path: wanted, headers, body, lie }) => {
      // The good token is needed to the end.
      const path = /^\/(revoke|leaks|v1)/.test(wanted) && body.includes(good.id) ? "/explain" : wanted;
      const length = Math.max(0, Buffer.byteLength(body, "latin1") + lie);
      const lines = [`${method} ${path} HTTP/1.1`, "Host: verifier", `Content-Length: ${length}`, ...headers];
      return Buffer.from(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n${body}`, "latin1");
    });

/** A request with bytes changed, left out or put in; or no request at all. */
const aMalformedOne = (good: HandMadeToken) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(
        aRequest(good),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.uint8Array({ maxLength: 8 }), fc.nat(8))),
      )
      .map(([request, changes]) =>
        changes.reduce((bytes, [place, inserted, removed]) => {
          const at = Math.floor(place * bytes.length);
          return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
        }, request),
      ),
    fc.array(aRequest(good), { minLength: 2, maxLength: 5 }).map((requests) => Buffer.concat(requests)),
  );

test(
  "no request makes it fail, end or grow",
  async ({ verifier, good }) => {
    const run = (arbitrary: fc.Arbitrary<Buffer>, seconds: number) =>
      fc.assert(
        fc.asyncProperty(arbitrary, fc.boolean(), async (bytes, isForBackends) => {
          expectNoFailure(await exchange(isForBackends ? verifier.introspectionPort : verifier.gatewayPort, bytes));
          expect(verifier.hasEnded()).toBe(false);
        }),
        { numRuns: 1e9, interruptAfterTimeLimit: seconds * 1_000, markInterruptAsFailure: false },
      );
    await run(aRequest(good), SECONDS / 4);
    await run(aMalformedOne(good), SECONDS / 4);
    const halfwayMib = verifier.residentMib();
    await run(aRequest(good), SECONDS / 4);
    await run(aMalformedOne(good), SECONDS / 4);

    expect(verifier.residentMib() - halfwayMib).toBeLessThan(GROWTH_MIB);
    const answer = await exchange(
      verifier.gatewayPort,
      Buffer.from(
        `GET /verify HTTP/1.1\r\nHost: verifier\r\nAuthorization: Bearer ${good.plaintext}\r\nConnection: close\r\n\r\n`,
      ),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(verifier.readLog()).not.toMatch(/"level":"(error|fatal)"/);
    expect(verifier.readLog()).not.toContain(good.plaintext.slice(16));
  },
  SECONDS * 1_000 + 60_000,
);
