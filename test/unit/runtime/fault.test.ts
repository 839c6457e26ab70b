import { expect, test } from "vitest";
import { KubeApiError } from "../../../src/kube/api-error.ts";
import { classifyError } from "../../../src/postgres/errors.ts";
import { ConfigError, databaseEnvironment, readEnvironment } from "../../../src/runtime/config.ts";
import { Fault, findFaultCode } from "../../../src/runtime/fault.ts";
import { parseKeyring } from "../../../src/runtime/keyring-json.ts";
import { describeError } from "../../../src/runtime/log.ts";

const FIELDS = {
  faultCode: "APITOKEN_E_KEYRING_MISSING",
  object: 'the Secret "a/b"',
  problem: "it is missing",
} as const;

test.each([
  ["object, problem and remedy", { ...FIELDS, remedy: "restore it" }, 'the Secret "a/b": it is missing; restore it'],
  ["no remedy", FIELDS, 'the Secret "a/b": it is missing'],
  ["the problem alone", { ...FIELDS, object: undefined }, "it is missing"],
])("a fault's message is made of its fields: %s", (_what, fields, message) => {
  expect(new Fault(fields).message).toBe(message);
  expect(new Fault(fields)).toMatchObject(fields);
});

test.each([
  ["a fault's own", new Fault(FIELDS), "APITOKEN_E_KEYRING_MISSING"],
  ["bad settings", new ConfigError("X is not set"), "APITOKEN_E_CONFIG_INVALID"],
  [
    "a refusal of the API server",
    new KubeApiError({ method: "GET", path: "/" }, { code: 403, reason: "Forbidden" }),
    "APITOKEN_E_API_REFUSED",
  ],
  ["a connection that broke", classifyError(new Error("Connection terminated")), "APITOKEN_E_DATABASE_UNAVAILABLE"],
  [
    "what Postgres reported",
    Object.assign(new Error("no"), { severity: "FATAL", code: "28P01" }),
    "APITOKEN_E_DATABASE_REFUSED",
  ],
  ["an error of Node", Object.assign(new Error("no"), { code: "ENOSPC" }), "APITOKEN_E_UNEXPECTED"],
  ["something that is not an error", "text", "APITOKEN_E_UNEXPECTED"],
])("the code of %s", (_what, error, code) => {
  expect(findFaultCode(error)).toBe(code);
});

test("the log has the code in a field of its own, beside Node's", () => {
  expect(describeError(new Fault(FIELDS))).toMatchObject({ fault: "APITOKEN_E_KEYRING_MISSING" });
});

const SECRET = "hunter2-and-more";

test.each([
  [
    "a password in the database's URL",
    () => readEnvironment(databaseEnvironment, { DATABASE_URL: `postgres://u:${SECRET}@h:x/d` }),
  ],
  ["a keyring that is not one", () => parseKeyring(JSON.stringify({ peppers: [{ id: "p", secret: SECRET }] }), "here")],
  ["a keyring that is not JSON", () => parseKeyring(`{"secret":"${SECRET}"`, "here")],
])("a fault never repeats %s, in no field, cause or log line", (_what, provoke) => {
  let error: unknown;
  try {
    provoke();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(Fault);
  const { message, object, problem, remedy, cause } = error as Fault;
  const all = [
    message,
    object,
    problem,
    remedy,
    String(cause),
    JSON.stringify(describeError(error)),
    (error as Error).stack,
  ];
  expect(all.join("\n")).not.toContain(SECRET);
});
