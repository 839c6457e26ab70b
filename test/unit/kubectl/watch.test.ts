/*
 * A watch that breaks off loses no change, and does not ask again without a pause.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ApiTokenView, readApiToken } from "../../../src/kubectl/client/api-token.ts";
import { withClient } from "../../../src/kubectl/client/client.ts";
import { type TokenChange, watchTokens } from "../../../src/kubectl/client/watch.ts";
import { createGate } from "../../../src/kubectl/look/follow.ts";
import {
  lines,
  listOf,
  type MisbehavingApiServer,
  refuse,
  startMisbehavingApiServer,
  stream,
} from "../kube/misbehaving-api-server.ts";
import { anApiToken, NOW } from "./builders.ts";

let server: MisbehavingApiServer;

beforeEach(async () => {
  server = await startMisbehavingApiServer();
});
afterEach(() => server.close());

function objectOf(name: string, version: string) {
  return { metadata: { namespace: "shop", name, uid: `uid of ${name}`, resourceVersion: version } };
}

/** The first changes that a watch yields, and how often it lost the server. */
async function watchFor(count: number, known: readonly ApiTokenView[]) {
  const changes: string[] = [];
  const losses: string[] = [];
  const options = {
    namespace: "shop",
    context: undefined,
    kubeconfig: server.kubeconfigPath,
    as: undefined,
    "request-timeout": 5_000,
  };
  await withClient({ options, stop: new AbortController().signal }, async (client) => {
    const list = { tokens: known, resourceVersion: "7" };
    const onLost = (error: Error) => losses.push(error.message);
    for await (const { token, isDeleted } of watchTokens(client, { namespace: "shop" }, list, onLost)) {
      changes.push(`${token.name}@${token.version}${isDeleted ? " deleted" : ""}`);
      if (changes.length === count) return;
    }
  });
  return { changes, losses };
}

test("a watch that ends is continued from the last version", async () => {
  server.watches(
    stream(lines(["ADDED", objectOf("a", "8")], ["BOOKMARK", objectOf("", "9")]), "close"),
    stream(lines(["DELETED", objectOf("a", "10")]), "hold"),
  );
  expect(await watchFor(2, [])).toEqual({ changes: ["a@8", "a@10 deleted"], losses: [] });
  const [first, second] = server.requests;
  expect([first, second].map((request) => request?.query.get("resourceVersion"))).toEqual(["7", "9"]);
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(500);
});

test("when the version is too old, what has changed meanwhile is reported, and nothing else", async () => {
  const known = [objectOf("same", "1"), objectOf("changed", "2"), objectOf("gone", "3")].map(readApiToken);
  server.watches(
    stream(lines(["ERROR", { code: 410 }]), "close"),
    stream(lines(["ADDED", objectOf("b", "21")]), "hold"),
  );
  server.calls(listOf("20", [objectOf("same", "1"), objectOf("changed", "12"), objectOf("new", "13")]));
  expect((await watchFor(4, known)).changes).toEqual(["gone@3 deleted", "changed@12", "new@13", "b@21"]);
  expect(server.requests.at(-1)?.query.get("resourceVersion")).toBe("20");
});

test("an outage is reported once, and survived", async () => {
  server.watches(
    refuse(503, "ServiceUnavailable"),
    refuse(500, "InternalError"),
    stream(lines(["ADDED", objectOf("a", "8")]), "hold"),
  );
  const { changes, losses } = await watchFor(1, []);
  expect({ changes, losses: losses.length }).toEqual({ changes: ["a@8"], losses: 1 });
});

test("a right that is missing ends the watch", async () => {
  server.watches(refuse(403, "Forbidden"));
  await expect(watchFor(1, [])).rejects.toThrow("403");
});

test("what stops to pass a filter is shown once more", () => {
  const bad = anApiToken({ ready: { status: "False", reason: "PolicyDenied" } });
  const isShown = createGate({ isNotReadyOnly: true }, [bad]);
  const change = (token: ApiTokenView, isDeleted = false): TokenChange => ({ token, isDeleted });
  expect(isShown(change(anApiToken()), NOW)).toBe(true);
  expect(isShown(change(anApiToken()), NOW)).toBe(false);
  expect(isShown(change(bad), NOW)).toBe(true);
  expect(isShown(change(bad, true), NOW)).toBe(true);
  expect(isShown(change(anApiToken(), true), NOW)).toBe(false);
});
