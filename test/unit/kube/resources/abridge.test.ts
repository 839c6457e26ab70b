import { createSecretKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import { TOO_LARGE } from "../../../../src/kube/json-fields.ts";
import { reduceApiToken } from "../../../../src/kube/resources/api-token.ts";
import { reduceForCache, reduceSecret } from "../../../../src/kube/resources/secret.ts";

/* What users control has a bounded size in memory, whatever they put into the API server. */

const KEY = { id: "k", secret: createSecretKey(Buffer.alloc(32)), activeFrom: new Date(0) };
const KEYRING = { peppers: [KEY], encryption: [KEY], pseudonym: KEY } as const;
const OWNER = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", name: "a", uid: "u-1", controller: true };

function aRawSecret({ data = {}, labels = {}, annotations = {}, owner = OWNER as object | null }) {
  const references = owner === null ? {} : { ownerReferences: [owner] };
  const metadata = { name: "s", namespace: "n", uid: "u-2", resourceVersion: "1", labels, annotations, ...references };
  return { metadata, type: "Opaque", data };
}

const aSecret = (parts: Parameters<typeof aRawSecret>[0]) => reduceForCache(aRawSecret(parts), KEYRING);

const LARGE = "x".repeat(100_000);

describe("of a Secret that an ApiToken controls", () => {
  test("labels, annotations and fingerprints are kept", () => {
    expect(aSecret({ labels: { a: "1" }, annotations: { b: "2" }, data: { token: "YQ==" } })).toMatchObject({
      isAbridged: false,
      metadata: { labels: { a: "1" }, annotations: { b: "2" } },
      fingerprints: { token: expect.any(Object) },
    });
  });

  test("more keys than a spec can ask for are left out, and the view says so", () => {
    const data = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key-${index}`, ""]));
    expect(aSecret({ data })).toMatchObject({ isAbridged: true, owner: OWNER, fingerprints: {} });
  });

  test.each([
    [
      "labels",
      { labels: Object.fromEntries(Array.from({ length: 800 }, (_, index) => [`label-${index}`, "x".repeat(60)])) },
    ],
    ["annotations", { annotations: { note: LARGE } }],
  ])("%s that are too large are left out, and the view says so", (_what, metadata) => {
    const view = aSecret(metadata);
    expect(view).toMatchObject({
      isAbridged: true,
      owner: OWNER,
      metadata: { name: "s", labels: {}, annotations: {} },
    });
    expect(JSON.stringify(view).length).toBeLessThan(500);
  });
});

test.each([
  ["nobody", null],
  ["a Deployment", { apiVersion: "apps/v1", kind: "Deployment", name: "d", uid: "u-3", controller: true }],
  ["another project's ApiToken", { ...OWNER, apiVersion: "example.com/v1" }],
  ["an ApiToken that does not control it", { ...OWNER, controller: false }],
  ["an ApiToken with an endless name", { ...OWNER, name: LARGE }],
  ["an ApiToken with an endless uid", { ...OWNER, uid: LARGE }],
  ["an ApiToken of an endless version", { ...OWNER, apiVersion: `apitoken.dev/${LARGE}` }],
  ["an ApiToken with the name of another key", { ...OWNER, name: "a/b" }],
])("of a Secret that %s controls only its identity is kept", (_whom, owner) => {
  const view = aSecret({ owner, labels: { a: "1" }, annotations: { b: LARGE }, data: { token: "YQ==" } });
  expect(view).toEqual({
    isAbridged: true,
    metadata: { name: "s", namespace: "n", uid: "u-2", resourceVersion: "1", labels: {}, annotations: {} },
    owner: undefined,
    mustReplace: false,
    fingerprints: {},
  });
});

test("values of a Secret that no ApiToken controls are not even looked at", () => {
  const data = { token: { toString: () => expect.fail("it was read") } as unknown as string };
  expect(aSecret({ owner: null, data })).toMatchObject({ isAbridged: true, fingerprints: {} });
});

describe("of a Secret that is read for a pass", () => {
  const manyKeys = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));

  test("everything is kept that it takes to correct it", () => {
    const raw = aRawSecret({ data: manyKeys(1_000), annotations: { note: LARGE } });
    const view = reduceSecret(raw, KEYRING);
    expect(Object.keys(view.fingerprints)).toHaveLength(1_000);
    expect(view).toMatchObject({ mustReplace: false, isAbridged: false, metadata: { annotations: { note: LARGE } } });
  });

  test.each([
    ["more keys than anyone would correct", aRawSecret({ data: manyKeys(1_001) })],
    ["labels that are too large", aRawSecret({ labels: TOO_LARGE as unknown as object })],
    ["data that is too large", aRawSecret({ data: TOO_LARGE as unknown as object })],
    ["annotations that are too large", aRawSecret({ annotations: TOO_LARGE as unknown as object })],
  ])("with %s the identity and the owner are kept, and it must be replaced", (_what, raw) => {
    expect(reduceSecret(raw, KEYRING)).toEqual({
      isAbridged: true,
      metadata: { name: "s", namespace: "n", uid: "u-2", resourceVersion: "1", labels: {}, annotations: {} },
      owner: OWNER,
      mustReplace: true,
      fingerprints: {},
    });
  });

  test("with too many owners it belongs to nobody", () => {
    const raw = aRawSecret({});
    const metadata = { ...raw.metadata, ownerReferences: TOO_LARGE };
    expect(reduceSecret({ ...raw, metadata }, KEYRING)).toMatchObject({ owner: undefined, mustReplace: true });
  });
});

describe("of an ApiToken", () => {
  const reduce = (metadata: object) =>
    reduceApiToken({ metadata: { name: "a", namespace: "n", uid: "u", resourceVersion: "1", ...metadata }, spec: {} });
  const request = (value: string) => reduce({ annotations: { "apitoken.dev/rotate-requested-at": value } });

  test("a request for a rotation is kept up to 256 characters", () => {
    const now = "2026-01-01T00:00:00Z";
    expect(request(now).metadata.annotations).toEqual({ "apitoken.dev/rotate-requested-at": now });
    expect(request(LARGE).metadata.annotations).toEqual({ "apitoken.dev/rotate-requested-at": LARGE.slice(0, 256) });
  });

  test("a status that is too large to be ours is left out", () => {
    const metadata = { name: "a", namespace: "n", uid: "u", resourceVersion: "1" };
    expect(reduceApiToken({ metadata, spec: {}, status: TOO_LARGE })).toEqual({ metadata, spec: {} });
  });

  test.each([
    ["ours alone", ["apitoken.dev/revoke"], ["apitoken.dev/revoke"]],
    ["none", [], []],
    ["a few of others", ["a/b", "apitoken.dev/revoke"], ["a/b", "apitoken.dev/revoke"]],
    ["many of others and ours", [LARGE, "apitoken.dev/revoke", "a/b"], ["apitoken.dev/revoke", "…"]],
    ["many of others", [LARGE], ["…"]],
  ])("finalizers: %s", (_what, finalizers, kept) => {
    expect(reduce({ finalizers }).metadata.finalizers).toEqual(kept);
  });
});
