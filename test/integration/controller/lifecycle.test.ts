import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { parseTokenId } from "../../../src/token/token-string.ts";
import { anApiTokenBody, conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

test.beforeAll(async ({ cluster }) => {
  await issueToken(cluster, "warm-up", { owner: "nobody" });
});

const MONTH_MS = 720 * 3_600_000;

async function eventsOf(cluster: TestCluster, name: string): Promise<{ reason: string; type: string; note: string }[]> {
  const { items } = await cluster.transport.request<{
    items: { reason: string; type: string; note: string; regarding: { name: string } }[];
  }>("GET", `/apis/events.k8s.io/v1/namespaces/${cluster.namespace}/events`);
  return items.filter((event) => event.regarding.name === name);
}

async function editSecret(cluster: TestCluster, name: string, data: object): Promise<void> {
  await cluster.transport.request("PATCH", `/api/v1/namespaces/${cluster.namespace}/secrets/${name}`, {
    contentType: "application/merge-patch+json",
    body: { data },
  });
}

describe("issuing", () => {
  test("with only an owner, a Secret with a valid token for 30 days exists within a second", async ({
    cluster,
    databaseUrl,
  }) => {
    const appliedAtMs = performance.now();
    const token = await issueToken(cluster, "alone", { owner: "alice" });
    expect(performance.now() - appliedAtMs).toBeLessThan(1_000);

    const [row, ...others] = await findRows(databaseUrl, "alone");
    expect(others).toEqual([]);
    expect(row).toMatchObject({ owner: "alice", revision: 1, is_live: true, id: parseTokenId(token) });
    expect(row && row.expires_at.getTime() - row.issued_at.getTime()).toBe(MONTH_MS);
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    expect(await verifies(cluster, databaseUrl, await issueToken(cluster, "other", { owner: "alice" }))).toBe(true);

    const resource = await cluster.get("alone");
    expect(resource?.status).toMatchObject({
      observedGeneration: 1,
      tokenId: row?.id,
      revision: 1,
      secretName: "alone",
      expiresAt: row?.expires_at.toISOString().replace(".000Z", "Z"),
      effective: { duration: "720h", scopes: [] },
    });
    expect(conditionOf(resource, "Ready")?.reason).toBe("Issued");
  });

  test("kubectl waits for Ready, and its table shows owner, reason and expiry", async ({ cluster }) => {
    const manifest = JSON.stringify({
      apiVersion: "apitoken.dev/v1alpha1",
      kind: "ApiToken",
      metadata: { name: "by-kubectl" },
      spec: { owner: "alice" },
    });
    expect(await cluster.kubectl(["apply", "-f", "-"], manifest)).toMatchObject({ code: 0 });
    const waited = await cluster.kubectl(["wait", "--for=condition=Ready", "--timeout=10s", "apitok/by-kubectl"]);
    expect(waited).toMatchObject({ code: 0 });
    const { output } = await cluster.kubectl(["get", "apitokens", "by-kubectl"]);
    expect(output).toMatch(/NAME +READY +OWNER +REASON +EXPIRES +RENEWS +AGE/);
    expect(output).toMatch(/by-kubectl +True +alice +Issued +20\d\d-/);
  });

  test("a lifetime over the maximum is clamped, with a condition and one Event", async ({ cluster, databaseUrl }) => {
    await issueToken(cluster, "clamped", { owner: "alice", duration: "1440h" });
    const [row] = await findRows(databaseUrl, "clamped");
    expect(row && row.expires_at.getTime() - row.issued_at.getTime()).toBe(MONTH_MS);
    const resource = await cluster.get("clamped");
    expect(conditionOf(resource, "LifetimeClamped")).toMatchObject({ status: "True" });
    expect(conditionOf(resource, "LifetimeClamped")?.message).toContain("720h");
    await eventually(async () =>
      expect((await eventsOf(cluster, "clamped")).filter((event) => event.reason === "LifetimeClamped")).toHaveLength(
        1,
      ),
    );
  });

  test("a fixed end is exact to the second", async ({ cluster, databaseUrl }) => {
    const expiresAt = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000);
    await issueToken(cluster, "fixed", { owner: "alice", expiresAt: expiresAt.toISOString() });
    const [row] = await findRows(databaseUrl, "fixed");
    expect(row?.expires_at).toEqual(expiresAt);
  });

  test("a fixed end that has passed yields no token, and the status says why", async ({ cluster, databaseUrl }) => {
    await cluster.apply("past", { owner: "alice", expiresAt: "2020-01-01T00:00:00Z" });
    await untilReason(cluster, "past", "Expired");
    expect(await findRows(databaseUrl, "past")).toEqual([]);
    expect(await cluster.getSecret("past")).toBeUndefined();
  });

  test("a token that was not renewed ends as Expired, and its row is dead", async ({ cluster, databaseUrl }) => {
    await issueToken(cluster, "short", { owner: "alice", expiresAt: new Date(Date.now() + 2_000).toISOString() });
    await untilReason(cluster, "short", "Expired");
    expect(await findRows(databaseUrl, "short")).toMatchObject([{ is_live: false }]);
  });

  test("the Secret's name, key, labels and annotations follow the spec", async ({ cluster }) => {
    const token = await issueInto(cluster, "decorated", "custom", {
      owner: "alice",
      secret: { name: "custom", key: "API_KEY", labels: { team: "a", tier: "x" }, annotations: { note: "hello" } },
    });
    const secret = await cluster.getSecret("custom");
    expect(secret?.type).toBe("Opaque");
    expect(secret?.metadata.labels).toMatchObject({ team: "a", tier: "x", "apitoken.dev/managed": "true" });
    expect(secret?.metadata.annotations).toMatchObject({ note: "hello", "apitoken.dev/token-id": parseTokenId(token) });
    expect(secret?.metadata.ownerReferences).toMatchObject([{ kind: "ApiToken", name: "decorated", controller: true }]);

    await cluster.patch("decorated", { secret: { labels: { team: "b", tier: null } } });
    await eventually(async () => {
      const { labels } = (await cluster.getSecret("custom"))?.metadata ?? {};
      expect(labels?.team).toBe("b");
      expect(labels).not.toHaveProperty("tier");
    });
    expect(readToken(await cluster.getSecret("custom"), "API_KEY")).toBe(token);
  });

  async function issueInto(cluster: TestCluster, name: string, secretName: string, spec: object): Promise<string> {
    await cluster.apply(name, spec);
    await untilReady(cluster, name);
    return readToken(await cluster.getSecret(secretName), "API_KEY");
  }
});

describe("changing", () => {
  test("scopes, description and duration change the row in place; the token stays", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "changing", { owner: "alice", scopes: ["orders:read"] });
    await cluster.patch("changing", { scopes: ["orders:read", "orders:write"], duration: "24h", description: "shop" });
    await eventually(async () => {
      const rows = await findRows(databaseUrl, "changing");
      expect(rows).toMatchObject([{ scopes: ["orders:read", "orders:write"], revision: 1, is_live: true }]);
      expect(rows[0] && rows[0].expires_at.getTime() - rows[0].issued_at.getTime()).toBe(24 * 3_600_000);
    });
    await eventually(async () => expect((await cluster.get("changing"))?.status?.effective?.duration).toBe("24h"));
    expect(readToken(await cluster.getSecret("changing"))).toBe(token);
  });

  test.for<[string, object, string, string]>([
    ["name", { name: "moved" }, "moved", "token"],
    ["key", { name: "rekeyed", key: "API_TOKEN" }, "rekeyed", "API_TOKEN"],
  ])(
    "another Secret %s moves the token there, and leaves none behind",
    async ([what, secret, at, key], { cluster, databaseUrl }) => {
      const name = what === "name" ? "moving" : "rekeyed";
      const token = await issueToken(cluster, name, { owner: "alice" });
      await cluster.patch(name, { secret });
      await eventually(async () => expect(readToken(await cluster.getSecret(at), key)).toBe(token));
      await eventually(async () => expect((await cluster.get(name))?.status?.secretName).toBe(at));
      expect(Object.keys((await cluster.getSecret(at))?.data ?? {})).toEqual([key]);
      if (at !== name) await eventually(async () => expect(await cluster.getSecret(name)).toBeUndefined());
      expect(await findRows(databaseUrl, name)).toMatchObject([{ revision: 1, is_live: true }]);
    },
  );

  test("templates fill extra keys and change in place, and an edited value is corrected without a new token", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "templated", {
      owner: "alice",
      secret: { data: { header: "Bearer ${token}" } },
    });
    const readKey = async (key: string) => readToken(await cluster.getSecret("templated"), key);
    expect(await readKey("header")).toBe(`Bearer ${token}`);

    await cluster.patch("templated", { secret: { data: { header: null, netrc: "login ${owner} password ${token}" } } });
    await eventually(async () => expect(await readKey("netrc")).toBe(`login alice password ${token}`));
    expect(Object.keys((await cluster.getSecret("templated"))?.data ?? {}).sort()).toEqual(["netrc", "token"]);

    await editSecret(cluster, "templated", { netrc: Buffer.from("mine").toString("base64") });
    await eventually(async () => expect(await readKey("netrc")).toBe(`login alice password ${token}`));
    expect(await findRows(databaseUrl, "templated")).toHaveLength(1);
  });

  test("onDelete: Retain leaves the Secret, but revokes the token", async ({ cluster, databaseUrl }) => {
    const token = await issueToken(cluster, "retained", { owner: "alice", secret: { onDelete: "Retain" } });
    await cluster.delete("retained");
    await eventually(async () => expect(await cluster.get("retained")).toBeUndefined());
    const secret = await cluster.getSecret("retained");
    expect(readToken(secret)).toBe(token);
    expect(secret?.metadata.ownerReferences ?? []).toEqual([]);
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  });

  test("while suspended nothing is repaired, but afterwards it is", async ({ cluster }) => {
    await issueToken(cluster, "suspended", { owner: "alice" });
    await cluster.patch("suspended", { suspend: true });
    await untilReason(cluster, "suspended", "Suspended");
    expect(conditionOf(await cluster.get("suspended"), "Ready")?.status).toBe("True");
    await deleteSecret(cluster, "suspended");
    await eventually(async () => expect(conditionOf(await cluster.get("suspended"), "Ready")?.status).toBe("False"));
    expect(await cluster.getSecret("suspended")).toBeUndefined();
    await cluster.patch("suspended", { suspend: false });
    await untilReady(cluster, "suspended");
  });
});

describe("the Secret", () => {
  test.for<[string, (cluster: TestCluster) => Promise<unknown>]>([
    ["deleted", (cluster) => deleteSecret(cluster, "drift-deleted")],
    ["edited", (cluster) => editSecret(cluster, "drift-edited", { token: Buffer.from("mine").toString("base64") })],
  ])(
    "when it is %s by hand a new token comes within two seconds, and the old one ends with its overlap",
    async ([how, interfere], { cluster, databaseUrl }) => {
      const name = `drift-${how}`;
      const token = await issueToken(cluster, name, { owner: "alice", rotation: { overlap: "2s" } });
      await interfere(cluster);
      await eventually(
        async () => {
          const value = readToken(await cluster.getSecret(name));
          expect(value).not.toBe(token);
          expect(await verifies(cluster, databaseUrl, value)).toBe(true);
        },
        { timeoutMs: 2_000 },
      );
      await eventually(async () =>
        expect((await cluster.get(name))?.status?.previous?.tokenId).toBe(parseTokenId(token)),
      );
      await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false), {
        timeoutMs: 4_000,
      });
      await eventually(async () => expect((await cluster.get(name))?.status?.previous).toBeUndefined());
      await eventually(async () => expect(conditionOf(await cluster.get(name), "Ready")?.reason).toBe("Rotated"));
      await eventually(async () =>
        expect((await eventsOf(cluster, name)).map((event) => event.reason)).toEqual(
          expect.arrayContaining(["SecretDrift"]),
        ),
      );
    },
  );

  test("that somebody made immutable is replaced as a whole when the token rotates", async ({ cluster }) => {
    const token = await issueToken(cluster, "immutable", { owner: "alice" });
    await cluster.transport.request("PATCH", `/api/v1/namespaces/${cluster.namespace}/secrets/immutable`, {
      contentType: "application/merge-patch+json",
      body: { immutable: true },
    });
    await cluster.annotate("immutable", { "apitoken.dev/rotate-requested-at": "once" });
    await eventually(async () => expect(readToken(await cluster.getSecret("immutable"))).not.toBe(token));
  });

  test("that lost its label and owner is recognised by its token, and gets them back", async ({ cluster }) => {
    const token = await issueToken(cluster, "unlabelled", { owner: "alice" });
    await cluster.transport.request("PATCH", `/api/v1/namespaces/${cluster.namespace}/secrets/unlabelled`, {
      contentType: "application/merge-patch+json",
      body: { metadata: { ownerReferences: null, labels: null } },
    });
    await eventually(async () => {
      const secret = await cluster.getSecret("unlabelled");
      expect(secret?.metadata.ownerReferences).toHaveLength(1);
      expect(secret?.metadata.labels).toEqual({ "apitoken.dev/managed": "true" });
      expect(readToken(secret)).toBe(token);
    });
  });

  test("of the same name that is not ours is never changed, and once it is gone the token is written", async ({
    cluster,
    databaseUrl,
  }) => {
    const body = { metadata: { name: "foreign" }, data: { token: Buffer.from("theirs").toString("base64") } };
    const path = `/api/v1/namespaces/${cluster.namespace}/secrets`;
    const before = await cluster.transport.request<{ metadata: { resourceVersion: string } }>("POST", path, { body });
    await cluster.apply("foreign", { owner: "alice" });
    await untilReason(cluster, "foreign", "SecretConflict");
    const after = await cluster.getSecret("foreign");
    expect(after?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    expect((await findRows(databaseUrl, "foreign")).filter((row) => row.is_live)).toEqual([]);

    await deleteSecret(cluster, "foreign");
    await cluster.patch("foreign", { description: "look again" });
    await untilReady(cluster, "foreign");
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("foreign")))).toBe(true);
  });

  test("that somebody has copied the token to is not ours either, and keeps its other keys", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "copied", { owner: "alice" });
    const data = { token: Buffer.from(token).toString("base64"), other: "a2VlcA==" };
    const path = `/api/v1/namespaces/${cluster.namespace}/secrets`;
    await cluster.transport.request("POST", path, { body: { metadata: { name: "copy", labels: OURS }, data } });
    await cluster.patch("copied", { secret: { name: "copy" } });
    await untilReason(cluster, "copied", "SecretConflict");
    const copy = await cluster.getSecret("copy");
    expect(copy?.data).toEqual(data);
    expect(copy?.metadata.ownerReferences).toBeUndefined();
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
  });

  test("that has lost all our marks is not ours, and its token works until somebody deletes it", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "bare", { owner: "alice" });
    const path = `/api/v1/namespaces/${cluster.namespace}/secrets/bare`;
    await cluster.transport.request("PATCH", path, {
      contentType: "application/merge-patch+json",
      body: { metadata: { ownerReferences: null, labels: null, annotations: null } },
    });
    await untilReason(cluster, "bare", "SecretConflict");
    expect(conditionOf(await cluster.get("bare"), "Ready")?.message).toContain("It holds the token, which works");
    expect(readToken(await cluster.getSecret("bare"))).toBe(token);
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);

    await deleteSecret(cluster, "bare");
    await cluster.patch("bare", { description: "look again" });
    await untilReady(cluster, "bare");
    const next = readToken(await cluster.getSecret("bare"));
    expect(next).not.toBe(token);
    for (const plaintext of [token, next]) expect(await verifies(cluster, databaseUrl, plaintext)).toBe(true);
  });

  test("whose token somebody has made live forever is reported all the same", async ({ cluster, databaseUrl }) => {
    await issueToken(cluster, "eternal", { owner: "alice" });
    await cluster.patch("eternal", { suspend: true });
    await untilReason(cluster, "eternal", "Suspended");
    for (const end of ["infinity", "280000-01-01"]) {
      await runAsSuperuser(
        databaseUrl,
        "update apitoken.tokens set expires_at = now() + interval '1 day' where name = 'eternal'",
      );
      await eventually(async () => expect((await cluster.get("eternal"))?.status?.expiresAt).toMatch(/^2/));
      await runAsSuperuser(databaseUrl, `update apitoken.tokens set expires_at = '${end}' where name = 'eternal'`);
      await eventually(async () =>
        expect((await cluster.get("eternal"))?.status?.expiresAt).toBe("9999-12-31T23:59:59Z"),
      );
    }
  });

  test("on which many others have left their marks is kept in line all the same", async ({ cluster }) => {
    const token = await issueToken(cluster, "marked", { owner: "alice" });
    const path = `/api/v1/namespaces/${cluster.namespace}/secrets/marked`;
    const annotations = { "example.com/large": "x".repeat(100_000), "apitoken.dev/token-id": null };
    const contentType = "application/merge-patch+json";
    await cluster.transport.request("PATCH", path, { contentType, body: { metadata: { annotations } } });
    await eventually(async () => {
      const { annotations = {} } = (await cluster.getSecret("marked"))?.metadata ?? {};
      expect(annotations["apitoken.dev/token-id"]).toBe(token.slice(4, 16));
      expect(annotations["example.com/large"]).toHaveLength(100_000);
    });
    await cluster.annotate("marked", { "apitoken.dev/rotate-requested-at": "1" });
    await eventually(async () => expect(readToken(await cluster.getSecret("marked"))).not.toBe(token));
    await untilReady(cluster, "marked");
  });

  test("and an ApiToken with more finalizers than are kept can be created, rotated and deleted", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "finalized", { owner: "alice" });
    const path = `/apis/apitoken.dev/v1alpha1/namespaces/${cluster.namespace}/apitokens/finalized`;
    const others = Array.from({ length: 50 }, (_, index) => `example.com/finalizer-${index}`);
    const setFinalizers = (finalizers: string[]) =>
      cluster.transport.request("PATCH", path, {
        contentType: "application/merge-patch+json",
        body: { metadata: { finalizers } },
      });
    await setFinalizers(others); // without ours, which the controller adds again
    await eventually(async () => expect((await cluster.get("finalized"))?.metadata.finalizers).toHaveLength(51));
    await cluster.delete("finalized");
    await eventually(async () => expect((await cluster.get("finalized"))?.metadata.finalizers).toEqual(others));
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    await setFinalizers([]);
    await eventually(async () => expect(await cluster.get("finalized")).toBeUndefined());
  });
});

const OURS = { "apitoken.dev/managed": "true" };

function deleteSecret(cluster: TestCluster, name: string): Promise<unknown> {
  return cluster.transport.request("DELETE", `/api/v1/namespaces/${cluster.namespace}/secrets/${name}`);
}

test("who asked for a token is in the audit trail, and an erasure removes the name", async ({
  cluster,
  databaseUrl,
  resources,
}) => {
  const body = anApiTokenBody(cluster.namespace, "asked", { owner: "asker" });
  const metadata = { ...body.metadata, annotations: { "apitoken.dev/requested-by": "oidc:asker" } };
  await cluster.kubectl(["create", "-f", "-"], JSON.stringify({ ...body, metadata }));
  await untilReady(cluster, "asked");
  const findAskers = async () =>
    (
      await runAsSuperuser<{ asker: string | null }>(
        databaseUrl,
        "select detail ->> 'requestedBy' as asker from apitoken.security_events where event = 'TokenIssued' and name = 'asked'",
      )
    ).map(({ asker }) => asker);
  expect(await findAskers()).toEqual(["oidc:asker"]);
  await resources.applyBlock("asker", { owner: "asker", erase: true });
  await eventually(async () => expect(await findAskers()).toEqual([null]));
});

describe("ending", () => {
  test("revoked: true revokes the token, deletes the Secret, and is final and audited", async ({
    cluster,
    databaseUrl,
    controller,
  }) => {
    const token = await issueToken(cluster, "revoked", { owner: "alice" });
    await cluster.patch("revoked", { revoked: true, revocationReason: "laptop lost" });
    await untilReason(cluster, "revoked", "RevokedBySpec");
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    expect(await cluster.getSecret("revoked")).toBeUndefined();
    expect(conditionOf(await cluster.get("revoked"), "Revoked")?.status).toBe("True");
    expect(await findEvents(databaseUrl, "revoked")).toMatchObject([
      { event: "TokenIssued", actor: `controller/${controller.identity}` },
      { event: "TokenRevoked", reason: "RevokedBySpec: laptop lost", actor: `controller/${controller.identity}` },
    ]);
    await expect(cluster.patch("revoked", { revoked: false })).rejects.toMatchObject({ code: 422 });
  });

  test("kubectl delete: the row is revoked and audited, and Secret and object are gone", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "deleted", { owner: "alice" });
    expect(await cluster.kubectl(["delete", "apitoken", "deleted", "--timeout=10s"])).toMatchObject({ code: 0 });
    expect(await cluster.get("deleted")).toBeUndefined();
    expect(await cluster.getSecret("deleted")).toBeUndefined();
    expect(await verifies(cluster, databaseUrl, token)).toBe(false);
    expect(await findEvents(databaseUrl, "deleted")).toMatchObject([
      { event: "TokenIssued" },
      { event: "TokenRevoked", reason: "ResourceDeleted" },
    ]);
  });

  test("a row that is revoked with SQL is noticed at once, and a new token replaces it", async ({
    cluster,
    databaseUrl,
  }) => {
    const token = await issueToken(cluster, "by-sql", { owner: "alice" });
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set revoked_at = now(), revocation_reason = 'leaked' where name = 'by-sql'",
    );
    await eventually(
      async () => {
        const value = readToken(await cluster.getSecret("by-sql"));
        expect(value).not.toBe(token);
        expect(await verifies(cluster, databaseUrl, value)).toBe(true);
      },
      { timeoutMs: 2_000 },
    );
    const events = await findEvents(databaseUrl, "by-sql");
    expect(events[1]).toMatchObject({ event: "TokenRevoked", reason: "leaked", actor: "postgres" });
  });

  test("an ApiToken that disappears without its finalizer has its token revoked", async ({
    cluster,
    databaseUrl,
    controller,
  }) => {
    const token = await issueToken(cluster, "stripped", { owner: "alice" });
    await controller.stop();
    await cluster.kubectl(["patch", "apitoken", "stripped", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
    await cluster.kubectl(["delete", "apitoken", "stripped"]);
    expect(await verifies(cluster, databaseUrl, token)).toBe(true);
    await controller.restart();
    await eventually(async () => expect(await verifies(cluster, databaseUrl, token)).toBe(false));
  });
});
