import { expect, test } from "vitest";
import { describeFailure, NotLeadingError, UnsettledError } from "../../../../src/controller/pass/failures.ts";
import { StaleViewError } from "../../../../src/controller/pass/secret-writes.ts";
import { KubeApiError, KubeUnreachableError } from "../../../../src/kube/api-error.ts";
import {
  DatabaseUnavailableError,
  FencedError,
  IssueRefusedError,
  LateEpochError,
} from "../../../../src/postgres/errors.ts";
import { createToken } from "../../../../src/token/token-string.ts";

const secret = { method: "PATCH", path: "/api/v1/namespaces/a/secrets/b" };
const apiToken = { method: "PATCH", path: "/apis/apitoken.dev/v1alpha1/namespaces/a/apitokens/b" };
const { plaintext, id } = createToken();
const sqlError = Object.assign(new Error(plaintext), { code: "23514", severity: "ERROR" });

test.each<[string, unknown, string, string]>([
  ["a webhook that is down", new KubeApiError(secret, { code: 500, reason: "InternalError" }), "SecretRefused", "500"],
  ["a lasting conflict", new KubeApiError(secret, { code: 409, reason: "AlreadyExists" }), "SecretRefused", "409"],
  ["too many requests", new KubeApiError(secret, { code: 429, reason: "TooManyRequests" }), "SecretRefused", "429"],
  ["a namespace that is gone", new KubeApiError(secret, { code: 404, reason: "NotFound" }), "SecretRefused", "404"],
  [
    "a webhook that hangs",
    new KubeUnreachableError("no answer", { path: secret.path }),
    "SecretRefused",
    "webhook hangs",
  ],
  [
    "a refused finalizer",
    new KubeApiError(apiToken, { code: 500, reason: "X", detail: "no" }),
    "ReconcileFailed",
    "no",
  ],
  ["an API server without an answer", new KubeUnreachableError("it is away"), "ReconcileFailed", "it is away"],
  ["a Secret that always changes", new StaleViewError("it has changed"), "ReconcileFailed", "it has changed"],
  ["an issue that is always refused", new IssueRefusedError("limit"), "ReconcileFailed", "limit"],
  ["a pass that never ends", new UnsettledError("still something to do"), "ReconcileFailed", "something to do"],
  ["a refusal of the database", sqlError, "DatabaseRefused", "SQLSTATE 23514"],
  ["a bug", new TypeError(`cannot read ${plaintext}`), "ReconcileFailed", "unexpected TypeError"],
  ["a thrown text", plaintext, "ReconcileFailed", "unexpected error"],
])("%s is reported once it has happened three times in a row", (_, error, reason, text) => {
  expect(describeFailure(error, 1)).toBeUndefined();
  expect(describeFailure(error, 2)).toBeUndefined();
  const failure = describeFailure(error, 3);
  expect(failure).toMatchObject({ reason, message: expect.stringContaining(text) });
  expect(failure?.message).not.toMatch(/undefined|\[object/);
  expect(failure?.message).not.toContain(plaintext);
  expect(describeFailure(error, 1_000)).toEqual(failure);
});

test("an outage of the database is reported at once", () => {
  expect(describeFailure(new DatabaseUnavailableError("57P01"), 1)?.reason).toBe("DatabaseUnavailable");
});

test.each([new NotLeadingError("no"), new FencedError("a", "1"), new LateEpochError()])(
  "%s is never reported: somebody else leads",
  (error) => {
    expect(describeFailure(error, 100)).toBeUndefined();
  },
);

test("a text is cut, and what looks like a token is hidden in it", () => {
  const detail = `${plaintext} ${"x".repeat(5_000)}`;
  const message = describeFailure(new KubeApiError(apiToken, { code: 400, reason: "X", detail }), 3)?.message ?? "";
  expect(message).toContain(`apt_${id}…`);
  expect(message.length).toBeLessThan(900);
});
