import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { parseConfigFile } from "../../../src/cleanup/config-file.ts";
import { KubeApiError } from "../../../src/kube/api-error.ts";
import { loadKubeConfig } from "../../../src/kube/kubeconfig.ts";
import { classifyError } from "../../../src/postgres/errors.ts";
import { ConfigError, databaseEnvironment, readEnvironment } from "../../../src/runtime/config.ts";
import { Fault, findFaultCode, toJsonFields } from "../../../src/runtime/fault.ts";
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

const RUNTIME = fileURLToPath(new URL("../../../src/runtime/", import.meta.url));

/** A program that ends with an error. */
function runFaulty(error: string, output: "text" | "json") {
  const source = `
    import { ConfigError } from "${RUNTIME}config.ts";
    import { Fault } from "${RUNTIME}fault.ts";
    import { RefusedError, runProgram } from "${RUNTIME}program.ts";
    await runProgram("test run", () => Promise.reject(${error}), "${output}");`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

const FAULT = `new Fault(${JSON.stringify(FIELDS)}, { cause: new Error("404 Not Found") })`;

test.each([
  [FAULT, 1, "APITOKEN_E_KEYRING_MISSING"],
  ['new ConfigError("X is not set")', 2, "APITOKEN_E_CONFIG_INVALID"],
  ['new RefusedError({ faultCode: "APITOKEN_E_KEY_IN_USE", problem: "it is needed" })', 3, "APITOKEN_E_KEY_IN_USE"],
  ['new TypeError("x is not a function")', 1, "APITOKEN_E_UNEXPECTED"],
])("%s ends a program with exit code %s and the code %s on standard error", (error, status, code) => {
  const ended = runFaulty(error, "text");
  expect(ended).toMatchObject({ status, stdout: "", stderr: expect.stringMatching(/^test: /) });
  expect(ended.stderr).toContain(`\nError code: ${code} (docs/errors.md)\n`);
});

test("a program whose output is JSON ends with the error's fields on standard error", () => {
  const { status, stdout, stderr } = runFaulty(FAULT, "json");
  const { faultCode: code, object, problem } = FIELDS;
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(JSON.parse(stderr)).toEqual({ error: { code, object, problem, cause: "404 Not Found" } });
});

const SECRET = "hunter2-and-more";

/** The path of a file with this text, which is deleted after the test. */
function writeTemporary(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-fault-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "file.yaml");
  writeFileSync(path, text);
  return path;
}

test.each([
  [
    "a password in the database's URL",
    () => readEnvironment(databaseEnvironment, { DATABASE_URL: `postgres://u:${SECRET}@h:x/d` }),
  ],
  ["a keyring that is not one", () => parseKeyring(JSON.stringify({ peppers: [{ id: "p", secret: SECRET }] }), "here")],
  [
    "a password in the URL of a database that is not available",
    () => {
      throw classifyError(
        Object.assign(new Error("getaddrinfo ENOTFOUND h"), { code: "ENOTFOUND", url: `postgres://u:${SECRET}@h/d` }),
      );
    },
  ],
  ["a kubeconfig that is not YAML", () => loadKubeConfig({ path: writeTemporary(`users: [{ token: ${SECRET}`) })],
  [
    "a kubeconfig that names no cluster",
    () => loadKubeConfig({ path: writeTemporary(`users: [{ token: ${SECRET} }]`) }),
  ],
  ["a configuration file that is not YAML", () => parseConfigFile(`password: ${SECRET}\ntargets: [`, "cleanup.yaml")],
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
    JSON.stringify(toJsonFields(error)),
    (error as Error).stack,
  ];
  expect(all.join("\n")).not.toContain(SECRET);
});
