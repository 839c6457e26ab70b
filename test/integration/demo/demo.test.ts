import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type BackgroundProcess, startProcess } from "../../../local/processes.ts";
import { eventually } from "../../support/eventually.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const START_MS = 90_000;
const run = promisify(execFile);

let folders: string[] = [];
let demos: BackgroundProcess[] = [];

afterEach(async () => {
  await Promise.all(demos.map((demo) => demo.stop()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  demos = [];
  folders = [];
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-demo-test-"));
  folders.push(folder);
  return folder;
}

/** Starts the demo as `npm start -- --no-tour --state-dir …` does, without standard input. */
function startDemo(stateDir: string): BackgroundProcess {
  const args = [join(ROOT, "demo/main.ts"), "--no-tour", "--state-dir", stateDir];
  const demo = startProcess(process.execPath, args, { logPath: join(makeFolder(), "log"), cwd: ROOT });
  demos.push(demo);
  return demo;
}

const readLog = (demo: BackgroundProcess) => readFileSync(demo.logPath, "utf8");

/** The variables that "source DIR/env" sets, once the demo has printed its last line. */
async function untilUp(demo: BackgroundProcess, stateDir: string): Promise<Record<string, string>> {
  const isUp = () => existsSync(join(stateDir, "env")) && readLog(demo).includes("Ctrl-C stops everything.");
  await eventually(() => demo.hasEnded() || isUp(), { timeoutMs: START_MS });
  expect(isUp(), readLog(demo)).toBe(true);
  const lines = readFileSync(join(stateDir, "env"), "utf8").matchAll(/^export (\w+)='(.*)'$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
}

/** Has a token issued, with only what the env file provides. */
async function expectAtWork(env: Record<string, string>): Promise<void> {
  const kubectl = (...args: string[]) => run(env.KUBECTL ?? "", ["--kubeconfig", env.KUBECONFIG ?? "", ...args]);
  await kubectl("apply", "-f", join(ROOT, "examples/hello.yaml"));
  await kubectl("wait", "--for=condition=Ready", "--timeout=30s", "apitoken/hello");
  const rows = await runAsSuperuser(env.DATABASE_URL ?? "", "select owner from apitoken.tokens");
  expect(rows).toEqual([{ owner: "default/hello" }]);
  expect(await (await fetch(env.CONTROLLER_METRICS_URL ?? "")).text()).toContain("apitoken_leading 1");
  expect(await (await fetch(env.VERIFIER_METRICS_URL ?? "")).text()).toContain("apitoken_verifier_tokens");
  const asked = [`${env.VERIFIER_URL}/verify`, `${env.GATEWAY_URL}/orders`];
  for (const url of asked) expect((await ask(url, await readToken(env, "hello"))).status, url).toBe(200);
  expect((await fetch(`${env.VERIFIER_INTROSPECTION_URL}/introspect`)).status).toBe(405); // RFC 7662: POST only
}

async function readToken(env: Record<string, string>, name: string): Promise<string> {
  const args = ["--kubeconfig", env.KUBECONFIG ?? "", "get", "secret", name, "-o", "jsonpath={.data.token}"];
  return Buffer.from((await run(env.KUBECTL ?? "", args)).stdout, "base64").toString();
}

const ask = (url: string, token: string, headers: Record<string, string> = {}) =>
  fetch(url, { headers: { ...headers, authorization: `Bearer ${token}` } });

function isRunning(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

async function expectEnd(demo: BackgroundProcess, stateDir: string, env: Record<string, string>): Promise<void> {
  const pids = [env.CONTROLLER_PID, env.VERIFIER_PID, env.APISERVER_PID, env.POSTGRES_PID];
  expect(pids.map(isRunning)).toEqual([true, true, true, true]);
  process.kill(demo.pid, "SIGTERM");
  expect(await demo.ended, readLog(demo)).toBe(0);
  expect(pids.map(isRunning)).toEqual([false, false, false, false]);
  for (const name of ["env", "keyring.json"]) expect(existsSync(join(stateDir, name)), name).toBe(false);
}

test("two demos run side by side until SIGTERM, and leave nothing behind", { timeout: 3 * START_MS }, async () => {
  const [here, there] = [makeFolder(), makeFolder()];
  const [first, second] = [startDemo(here), startDemo(there)];
  const envs = await Promise.all([untilUp(first, here), untilUp(second, there)]);
  await Promise.all(envs.map(expectAtWork));

  const third = startDemo(here);
  expect(await third.ended).toBe(1);
  expect(readLog(third)).toContain(`${here} is in use by process ${first.pid}`);

  await Promise.all([expectEnd(first, here, envs[0]), expectEnd(second, there, envs[1])]);
});

test("the verifier's file follows the keyring, and the gateway believes no header of its clients", {
  timeout: 3 * START_MS,
}, async () => {
  const folder = makeFolder();
  const env = await untilUp(startDemo(folder), folder);
  await expectAtWork(env);
  const keyringFile = join(folder, "keyring.json");
  expect(statSync(keyringFile).mode & 0o777).toBe(0o600);
  const countPeppers = () => JSON.parse(readFileSync(keyringFile, "utf8")).peppers.length;
  expect(countPeppers()).toBe(1);
  await run(process.execPath, [join(ROOT, "src/controller/main.ts"), "keys", "rotate", "--active-in", "1s"], {
    env: { ...process.env, KUBECONFIG: env.KUBECONFIG, APITOKEN_NAMESPACE: "apitoken-system" },
  });
  await eventually(() => expect(countPeppers()).toBe(2));

  const forged = { "x-auth-owner": "root", x_auth_owner: "root", "x-auth-admin": "yes" };
  const response = await ask(`${env.GATEWAY_URL}/orders?of=me`, await readToken(env, "hello"), forged);
  expect(await response.json()).toMatchObject({ path: "/orders?of=me", owner: "default/hello", state: "live" });
  for (const [token, status] of [
    ["nonsense", 401],
    ["", 400],
  ] as const) {
    const refusal = await ask(`${env.GATEWAY_URL}/orders`, token, forged);
    expect([refusal.status, refusal.headers.get("www-authenticate")?.slice(0, 6)]).toEqual([status, "Bearer"]);
  }
});

test("a demo in the folder of an earlier one begins from scratch", { timeout: 3 * START_MS }, async () => {
  const folder = makeFolder();
  const first = startDemo(folder);
  await expectAtWork(await untilUp(first, folder));
  await first.stop("SIGKILL"); // so that nothing is cleaned up
  const second = startDemo(folder);
  const env = await untilUp(second, folder);
  const { stdout } = await run(env.KUBECTL ?? "", [
    "--kubeconfig",
    env.KUBECONFIG ?? "",
    "get",
    "apitokens",
    "-o",
    "name",
  ]);
  expect(stdout).toBe("");
  await expectAtWork(env);
  await expectEnd(second, folder, env);
});

test("a signal while it starts ends it as well", { timeout: START_MS }, async () => {
  const folder = makeFolder();
  const demo = startDemo(folder);
  await eventually(() => existsSync(join(folder, "control-plane")), { timeoutMs: START_MS });
  process.kill(demo.pid, "SIGTERM");
  expect(await demo.ended).toBe(0);
  expect(existsSync(join(folder, "env"))).toBe(false);
});
