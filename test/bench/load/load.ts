/*
 * Starts the programs that the bench of the verifier needs beside it, each in a process of its own: the generator of requests, and
 * the empty server.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";

/** What is to be sent. */
export interface Load {
  readonly port: number;
  /** Whole requests as they are sent, in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly seconds?: number;
  /** Instead of `seconds`: how many are sent, as fast as they are answered. */
  readonly count?: number;
  /** How many requests are sent each second, evenly. Undefined: as many as are answered. */
  readonly perSecond?: number;
  /** Whether what is due within a millisecond may be sent at once, which leaves the core to others. */
  readonly isBursty?: boolean;
}

/** What came back. */
export interface LoadResult {
  readonly perSecond: number;
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The share of a core that the generator used: at 1 it is what limits the result. */
  readonly busy: number;
}

/** A generator of requests. */
export interface Generator {
  send(load: Load): Promise<LoadResult>;
  stop(): void;
}

/** Starts a generator; it sends one load after the other. With `isModest`, all others go first on the cores that they share. */
export function startGenerator({ isModest = false } = {}): Generator {
  const child = start("generator.ts");
  if (isModest && child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return {
    async send(load) {
      child.send(load);
      const [result] = (await once(child, "message")) as [LoadResult];
      return result;
    },
    stop: () => child.disconnect(),
  };
}

/** A running empty server. */
export interface BareServer {
  readonly port: number;
  stop(): void;
}

/** Starts the empty server, with Node's options as those of the verifier. */
export async function startBareServer(nodeOptions: readonly string[]): Promise<BareServer> {
  const child = start("bare.ts", nodeOptions);
  const [port] = (await once(child, "message")) as [number];
  return { port, stop: () => child.disconnect() };
}

function start(file: string, execArgv: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), { execArgv: [...execArgv] });
}

/** A request without a body, or with a form, as a client sends it over a connection that stays open. */
export function httpRequest(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  form?: Readonly<Record<string, string>>,
): string {
  const body = form === undefined ? "" : new URLSearchParams(form).toString();
  const all = {
    Host: "verifier",
    ...headers,
    ...(form === undefined
      ? {}
      : { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": String(body.length) }),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${form === undefined ? "GET" : "POST"} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** Throws if anything but 200 came back: refusals are cheaper, or dearer, than answers. */
export function requireGood(result: LoadResult): LoadResult {
  const others = Object.entries(result.statuses).filter(([status]) => status !== "200");
  if (others.length > 0) throw new Error(`not all answers were 200: ${JSON.stringify(result.statuses)}`);
  return result;
}
