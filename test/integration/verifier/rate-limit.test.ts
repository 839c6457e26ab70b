/*
 * How often a token may be used: what a running verifier counts and what it does not, on every face, and what becomes of it.
 */
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { openCheckClient } from "../../support/verifier/check-client.ts";
import {
  changeByHand,
  forgeSecret,
  type HandMadeToken,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifier", async ({ databaseUrl }, { onCleanup }) => {
    const settings = { APITOKEN_VERIFIER_MAX_AGE: "10s" };
    const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  });

/** Two requests, and one more every twelve hours: nothing comes back while a test runs. */
const TWO_A_DAY = "rate_limit_requests = 2, rate_limit_seconds = 86400";

const show = (url: string, { plaintext }: Pick<HandMadeToken, "plaintext">) =>
  fetch(url, { headers: { authorization: `Bearer ${plaintext}` } });

/** The statuses of several requests, one after the other. */
async function statusesOf(url: string, token: Pick<HandMadeToken, "plaintext">, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let number = 0; number < count; number += 1) statuses.push((await show(url, token)).status);
  return statuses;
}

const headersOf = ({ headers }: Response, ...names: string[]) => names.map((name) => headers.get(name));
const RATE = ["ratelimit-policy", "ratelimit", "retry-after", "cache-control"];

test("a token passes as often as its limit says, then gets 429, and passes again once one has come back", async ({
  databaseUrl,
  verifier: { gatewayUrl },
}) => {
  const token = await issueByHand(databaseUrl, keyring, "rate_limit_requests = 2, rate_limit_seconds = 4");
  /** A slow machine may have used up a second of the two. */
  const soon = expect.stringMatching(/^"token";r=0;t=[12]$/);
  const answers = [];
  for (let count = 0; count < 3; count += 1) answers.push(await show(`${gatewayUrl}/verify`, token));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers.map((answer) => headersOf(answer, ...RATE))).toEqual([
    ['"token";q=2;w=4', '"token";r=1;t=2', null, "private, max-age=0"],
    ['"token";q=2;w=4', soon, null, "private, max-age=0"],
    ['"token";q=2;w=4', soon, expect.stringMatching(/^[12]$/), "no-store"],
  ]);
  await eventually(async () => expect((await show(`${gatewayUrl}/verify`, token)).status).toBe(200));
});

test("a token without a limit has no such headers, and gateways may keep its answers", async ({
  databaseUrl,
  verifier: { gatewayUrl },
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  expect(await statusesOf(`${gatewayUrl}/verify`, token, 50)).toEqual(Array.from({ length: 50 }, () => 200));
  const answer = await show(`${gatewayUrl}/verify`, token);
  expect(headersOf(answer, ...RATE)).toEqual([null, null, null, "private, max-age=10"]);
});

test("all ways in which gateways ask count together; nginx gets 403 and the status in a header", async ({
  databaseUrl,
  verifier,
  onTestFinished,
}) => {
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  const client = openCheckClient(`http://127.0.0.1:${verifier.grpcPort}`);
  onTestFinished(() => client.close());
  const check = () => client.check({ headers: ["authorization", `Bearer ${token.plaintext}`] });
  expect((await show(`${verifier.gatewayUrl}/verify`, token)).status).toBe(200);
  expect((await check()).ok?.shown).toEqual([
    ["ratelimit-policy", '"token";q=2;w=86400', 0],
    ["ratelimit", '"token";r=0;t=43200', 0],
  ]);
  const { code, denied } = await check();
  expect([code, denied?.status]).toEqual([8, 429]);
  expect(denied?.headers.map(([name]) => name)).toEqual([
    "retry-after",
    "ratelimit-policy",
    "ratelimit",
    "cache-control",
  ]);
  const forNginx = await show(`${verifier.gatewayUrl}/verify/nginx/-/`, token);
  expect([forNginx.status, ...headersOf(forNginx, "x-error-status", "retry-after")]).toEqual([403, "429", "43200"]);
});

test("a changed limit counts at once, for the same token", async ({ databaseUrl, verifier: { gatewayUrl } }) => {
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  const policyOf = async () => (await show(`${gatewayUrl}/verify`, token)).headers.get("ratelimit-policy");
  expect(await statusesOf(`${gatewayUrl}/verify`, token, 3)).toEqual([200, 200, 429]);
  await changeByHand(databaseUrl, token, "rate_limit_requests = 600, rate_limit_seconds = 60");
  await eventually(async () => expect(await policyOf()).toBe('"token";q=600;w=60'));
  await eventually(async () => expect((await show(`${gatewayUrl}/verify`, token)).status).toBe(200));
  await changeByHand(databaseUrl, token, "rate_limit_requests = null, rate_limit_seconds = null");
  await eventually(async () => expect(await policyOf()).toBeNull());
  expect(new Set(await statusesOf(`${gatewayUrl}/verify`, token, 20))).toEqual(new Set([200]));
});

test("a limited token is good to those who ask about it, and asking uses nothing up", async ({
  databaseUrl,
  verifier: { gatewayUrl, introspectionUrl },
}) => {
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  const caller = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect,apitoken:explain}'");
  const post = async (path: string, body: URLSearchParams | string) => {
    const headers = { authorization: `Bearer ${caller.plaintext}` };
    return (await fetch(introspectionUrl + path, { method: "POST", headers, body })).json();
  };
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: token.plaintext } };
  const expectGood = async () => {
    const form = () => new URLSearchParams({ token: token.plaintext });
    expect(await post("/introspect", form())).toMatchObject({ active: true });
    expect(await post("/tokenreview", JSON.stringify(review))).toMatchObject({ status: { authenticated: true } });
    const rateLimit = { requests: 2, seconds: 86_400 };
    expect(await post("/explain", form())).toMatchObject({ answer: "yes", token: { rateLimit } });
    const self = await show(`${gatewayUrl}/token`, token);
    expect(await self.json()).toMatchObject({ id: token.id, rateLimit });
  };
  for (let count = 0; count < 3; count += 1) await expectGood();
  expect(await statusesOf(`${gatewayUrl}/verify`, token, 3)).toEqual([200, 200, 429]);
  await expectGood();
});

test("what is refused anyway uses nothing up, and neither does somebody who knows only the token's id", async ({
  databaseUrl,
  verifier: { gatewayUrl },
}) => {
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  const forged = { plaintext: forgeSecret(token) };
  expect(new Set(await statusesOf(`${gatewayUrl}/verify?scope=delete`, token, 5))).toEqual(new Set([403]));
  expect(new Set(await statusesOf(`${gatewayUrl}/verify`, forged, 5))).toEqual(new Set([401]));
  expect(await statusesOf(`${gatewayUrl}/verify`, token, 3)).toEqual([200, 200, 429]);
  expect(await statusesOf(`${gatewayUrl}/verify`, forged, 1), "they do not learn of it").toEqual([401]);
  expect(await statusesOf(`${gatewayUrl}/verify?scope=delete`, token, 1)).toEqual([403]);
});

test("shadow mode lets everything pass, and uses nothing up that other routes need", async ({
  databaseUrl,
  verifier,
}) => {
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  const answers = [];
  for (let count = 0; count < 5; count += 1) answers.push(await show(`${verifier.gatewayUrl}/shadow`, token));
  expect(answers.map((answer) => [answer.status, ...headersOf(answer, "ratelimit")])).toEqual(
    Array.from({ length: 5 }, () => [200, null]),
  );
  const metric = 'apitoken_verifier_answers_total{face="shadow",result="RateLimited"}';
  expect(await readVerifierMetric(verifier, metric)).toBe(3);
  expect(await statusesOf(`${verifier.gatewayUrl}/verify`, token, 3)).toEqual([200, 200, 429]);
});

test("uses beyond the limit are counted as such, and leave no failure in the audit trail", async ({
  databaseUrl,
  verifier,
}) => {
  const metric = 'apitoken_verifier_answers_total{face="verify",result="RateLimited"}';
  expect(await readVerifierMetric(verifier, metric)).toBe(0);
  const token = await issueByHand(databaseUrl, keyring, TWO_A_DAY);
  await statusesOf(`${verifier.gatewayUrl}/verify`, token, 7);
  expect(await readVerifierMetric(verifier, metric)).toBe(5);
  await verifier.stop(); // which reports what is left
  const rows = (table: string) => runAsSuperuser(databaseUrl, `${table} where token_id = $1`, [token.id]);
  expect(await rows("select result, uses::integer from apitoken.token_usage")).toEqual([
    { result: "Good", uses: 2 },
    { result: "RateLimited", uses: 5 },
  ]);
  expect(await rows("select from apitoken.token_uses")).toHaveLength(1);
  const events = await rows("select event from apitoken.security_events");
  expect(events.map(({ event }) => event)).not.toContain("VerificationFailed");
});
