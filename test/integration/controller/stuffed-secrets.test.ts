import { expect } from "vitest";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { readToken, type TestCluster } from "../../support/cluster.ts";
import { verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

/* What is too large to be cached, or to be read at all, is still brought back to what the spec asks for. */

async function stuff({ transport, namespace }: TestCluster, name: string, body: object): Promise<void> {
  const contentType = "application/merge-patch+json";
  await transport.request("PATCH", `${secretsPath(namespace)}/${name}`, { contentType, body });
}

const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));

test("a Secret with some hundred keys too many is corrected, and keeps its token", async ({ cluster }) => {
  const token = await issueToken(cluster, "corrected");
  await stuff(cluster, "corrected", { data: keys(500) });
  await eventually(async () =>
    expect(Object.keys((await cluster.getSecret("corrected"))?.data ?? {})).toEqual(["token"]),
  );
  expect(readToken(await cluster.getSecret("corrected"))).toBe(token);
});

test("one with large annotations of others is left as it is, and keeps its token", async ({ cluster, databaseUrl }) => {
  const token = await issueToken(cluster, "annotated");
  await stuff(cluster, "annotated", { metadata: { annotations: { "example.com/note": "x".repeat(200_000) } } });
  await cluster.patch("annotated", { secret: { labels: { team: "shop" } } });
  await eventually(async () => expect((await cluster.getSecret("annotated"))?.metadata.labels?.team).toBe("shop"));
  const secret = await cluster.getSecret("annotated");
  expect(readToken(secret)).toBe(token);
  expect(secret?.metadata.annotations?.["example.com/note"]).toHaveLength(200_000);
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
});

test.for([
  ["thousands of keys", { data: keys(20_000) }],
  ["thousands of labels", { metadata: { labels: keys(10_000) } }],
] as const)("one with %s is replaced, and a new token is in it", async ([_what, body], { cluster, databaseUrl }) => {
  const name = `replaced-${Object.keys(body)[0]}`;
  const token = await issueToken(cluster, name);
  const before = await cluster.getSecret(name);
  await stuff(cluster, name, body);
  await eventually(async () => {
    const after = await cluster.getSecret(name);
    expect(after?.metadata.uid).not.toBe(before?.metadata.uid);
    expect(Object.keys(after?.data ?? {})).toEqual(["token"]);
    expect(await verifies(cluster, databaseUrl, readToken(after))).toBe(true);
  });
  expect(readToken(await cluster.getSecret(name))).not.toBe(token);
});
