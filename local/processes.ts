/*
 * A test run that is killed must not leave servers behind, and a tour that ends with Ctrl-C must stop them in order.
 * Child processes of Node do neither, so this file starts them in their own groups and keeps a reaper.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";

/** A program that runs in the background. */
export interface BackgroundProcess {
  readonly pid: number;
  readonly logPath: string;
  /** Whether it has ended. */
  readonly hasEnded: () => boolean;
  /** Resolves with the exit code, or with null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Ends it with a signal, and with SIGKILL if that is not enough. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  readonly logPath: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

const STOP_MS = 10_000;

/**
 * Starts a program in its own process group, so that Ctrl-C reaches only this process, which then ends everything in
 * order. If this process dies, even by SIGKILL, a reaper ends what it has started.
 */
export function startProcess(command: string, args: readonly string[], options: StartOptions): BackgroundProcess {
  const { logPath, uid, gid, cwd, env = process.env } = options;
  const log = openSync(logPath, "a");
  const child = spawn(command, args, {
    stdio: ["ignore", log, log],
    detached: true,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  let hasEnded = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`cannot start ${command}`, { cause: error })));
    child.once("exit", (code) => {
      hasEnded = true;
      tellReaper(`-${child.pid}`);
      resolve(code);
    });
  });
  ended.catch(() => {
    hasEnded = true;
  });
  const pid = child.pid ?? 0;
  if (pid > 0) tellReaper(`+${pid}`);
  child.unref();

  return {
    pid,
    logPath,
    ended,
    hasEnded: () => hasEnded,
    async stop(signal = "SIGTERM") {
      if (hasEnded || pid === 0) return;
      process.kill(pid, "SIGCONT");
      process.kill(pid, signal);
      const killer = setTimeout(() => process.kill(pid, "SIGKILL"), STOP_MS);
      await ended.catch(() => {});
      clearTimeout(killer);
    },
  };
}

/** Waits until `check` returns true. Throws an Error with the end of the program's log if it ends or takes too long. */
export async function waitUntilReady(
  name: string,
  background: BackgroundProcess,
  check: () => Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const endsAtMs = performance.now() + timeoutMs;
  while (!(await check().catch(() => false))) {
    const isLate = performance.now() > endsAtMs;
    if (background.hasEnded() || isLate) {
      const tail = readFileSync(background.logPath, "utf8").split("\n").slice(-20).join("\n");
      throw new Error(`${name} ${isLate ? "was not ready in time" : "ended before it was ready"}:\n${tail}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Finds ports of the loopback interface that are currently unused. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listenAnywhere()));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listenAnywhere(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(0, "127.0.0.1", () => resolve(server));
  });
}

/**
 * Runs until its standard input is closed, which happens when this process dies, and then kills every program that
 * still runs. The lines "+PID" and "-PID" report which programs were started and have ended.
 */
const REAPER = `
const running = new Set();
let rest = "";
process.on("SIGINT", () => {}).on("SIGTERM", () => {});
process.stdin.on("data", (chunk) => {
  const lines = (rest + chunk).split("\\n");
  rest = lines.pop();
  for (const line of lines) line[0] === "+" ? running.add(+line.slice(1)) : running.delete(+line.slice(1));
});
process.stdin.on("end", () => {
  for (const pid of running) try { process.kill(pid, "SIGKILL"); } catch {}
});`;

let reaper: ChildProcess | undefined;

function tellReaper(line: string): void {
  if (reaper === undefined) {
    reaper = spawn(process.execPath, ["-e", REAPER], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    reaper.unref();
    (reaper.stdin as unknown as { unref(): void }).unref();
    reaper.stdin?.on("error", () => {});
  }
  reaper.stdin?.write(`${line}\n`);
}
