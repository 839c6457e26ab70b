/*
 * Ten thousand ApiTokens take the API server most of a second and 20 MB, their table a tenth of that. So `status` without a name reads
 * as a whole only those that it has something to say about.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { withClient } from "../../../src/kubectl/client/client.ts";
import { readSummary } from "../../../src/kubectl/look/summary.ts";
import { json, type MisbehavingApiServer, startMisbehavingApiServer } from "../kube/misbehaving-api-server.ts";
import { DAY_MS, fromNow, NOW } from "./builders.ts";

let server: MisbehavingApiServer;

beforeAll(async () => {
  server = await startMisbehavingApiServer();
});
afterAll(() => server.close());

const COLUMNS = ["Name", "Ready", "Owner", "Reason", "Expires", "Renews"];

function rowOf(name: string, ready: string, reason: string, expiresInMs: number) {
  return { cells: [name, ready, "shop", reason, fromNow(expiresInMs), null] };
}

function objectOf(namespace: string, name: string, status: string, reason: string, expiresInMs = DAY_MS) {
  const condition = { type: "Ready", status, reason, message: `about ${name}` };
  return { metadata: { namespace, name }, status: { conditions: [condition], expiresAt: fromNow(expiresInMs) } };
}

/** Answers as an API server with these ApiTokens would. */
function answerWith(rows: readonly object[], objects: readonly ReturnType<typeof objectOf>[]) {
  server.calls((response, request) => {
    const { searchParams } = new URL(request.url ?? "", "http://server");
    const metadata = { resourceVersion: "7" };
    if (request.headers.accept?.includes("as=Table")) {
      return json(200, { metadata, columnDefinitions: COLUMNS.map((name) => ({ name })), rows })(response, request);
    }
    const [field, value] = (searchParams.get("fieldSelector") ?? "").split("=");
    const items = objects.filter(({ metadata: { name } }) => field !== "metadata.name" || name === value);
    return json(200, { metadata, items: field === "status.previous.tokenId!" ? [] : items })(response, request);
  });
}

const read = (limit: number) =>
  withClient(
    {
      options: {
        namespace: "shop",
        context: undefined,
        kubeconfig: server.kubeconfigPath,
        as: undefined,
        "request-timeout": 5_000,
      },
      stop: new AbortController().signal,
    },
    (client) => readSummary(client, undefined, NOW, limit),
  );

test("what is as it should be is counted in a table, and never read as a whole", async () => {
  answerWith(
    [
      rowOf("well", "True", "Issued", 20 * DAY_MS),
      rowOf("api", "False", "PolicyDenied", DAY_MS),
      rowOf("api", "True", "Issued", 20 * DAY_MS),
      rowOf("ending", "True", "Issued", DAY_MS),
    ],
    [
      objectOf("b", "api", "True", "Issued", 20 * DAY_MS),
      objectOf("a", "api", "False", "PolicyDenied"),
      objectOf("a", "ending", "True", "Issued"),
      objectOf("a", "well", "True", "Issued"),
    ],
  );
  expect(await read(20)).toMatchObject({
    total: 4,
    ready: 3,
    reasons: { Issued: 3, PolicyDenied: 1 },
    notReady: { count: 1, described: [{ namespace: "a", name: "api", message: "about api" }] },
    ending: { count: 1, described: [{ namespace: "a", name: "ending" }] },
  });
  const whole = server.requests.filter(({ headers }) => !headers.accept?.includes("as=Table"));
  expect(whole.map(({ query }) => query.get("fieldSelector")).sort()).toEqual([
    "metadata.name=api",
    "metadata.name=ending",
    "status.previous.tokenId!=",
  ]);
});

test("of many that need somebody, all are counted and as many described as were asked for", async () => {
  const names = Array.from({ length: 30 }, (_, index) => `t-${index + 10}`);
  answerWith(
    names.map((name) => rowOf(name, "False", "Expired", -1)),
    names.map((name) => objectOf("a", name, "False", "Expired")),
  );
  const { notReady } = await read(20);
  expect({ count: notReady.count, described: notReady.described.length }).toEqual({ count: 30, described: 20 });
  expect((await read(Number.POSITIVE_INFINITY)).notReady.described).toHaveLength(30);
});
