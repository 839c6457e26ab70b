import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { Agent, type Dispatcher, ProxyAgent } from "undici";

/** What a request needs now. */
export interface Access {
  /** The API server's address, without a slash at its end. */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly lanes: Readonly<Record<Lane, Dispatcher>>;
}

/**
 * `calls`: a bounded number of connections that all share. `watches`: each holds a connection for minutes and would
 * take it from the calls. `urgent`: one connection that never waits behind calls.
 */
export type Lane = "calls" | "watches" | "urgent";

export interface Credentials {
  current(): Promise<Access>;
  /** The server has refused this access: the next `current` reads everything anew, caches and plugins included. */
  reject(access: Access): void;
  /** A call got no answer in time: the network may have lost these connections silently, so the next calls open others. */
  suspect(access: Access): void;
  close(): Promise<void>;
}

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** For a connection, and for a plugin of the kubeconfig that fetches credentials. */
  readonly connectTimeoutMs: number;
}

/** Tokens and certificates on disk are rotated (a service account's token hourly): they are read again after this long. */
const FRESH_MS = 60_000;

/**
 * Reads a kubeconfig file, or finds one as kubectl does, the pod's service account included. What is wrong with the
 * file is told without a quote of it: it holds credentials.
 */
export function loadKubeConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (error) {
    const name = path ?? process.env.KUBECONFIG ?? "~/.kube/config";
    if (error instanceof Error && "syscall" in error) {
      throw new Error(`the kubeconfig ${name} cannot be read`, { cause: error });
    }
    throw new Error(`the kubeconfig ${name} is malformed; "kubectl config view" tells where`);
  }
  if (config.getCurrentCluster() === null) {
    throw new Error("the kubeconfig names no cluster; set its current-context to a context whose cluster is in it");
  }
  // The client refuses http:// unless TLS is not verified anyway; where there is no TLS there is nothing to verify.
  config.loadFromOptions({
    clusters: config.getClusters().map((cluster) => ({
      ...cluster,
      skipTLSVerify: cluster.skipTLSVerify || cluster.server.startsWith("http:"),
    })),
    users: config.getUsers(),
    contexts: config.getContexts(),
    currentContext: config.getCurrentContext(),
  });
  return config;
}

/** Authentication and TLS for every call, from the kubeconfig; connections are kept for as long as the TLS side stays. */
export function createCredentials(load: () => KubeConfig, limits: ConnectionLimits): Credentials {
  let config: KubeConfig | undefined = load();
  let pending: Promise<Access> | undefined;
  let latest: Access | undefined;
  let rejected: Access | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let tlsInUse: string | undefined;
  const open = new Set<Dispatcher>();

  /** Requests under way end on the old connections, in their own time. */
  const retire = (dispatcher: Dispatcher) => {
    const forget = () => void open.delete(dispatcher);
    dispatcher.close().then(forget, forget);
  };

  const read = async (): Promise<Access> => {
    config ??= load();
    const cluster = config.getCurrentCluster();
    const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
    await config.applyToHTTPSOptions(options);
    const tls = pickTls(options as Record<string, unknown>);
    const tlsNow = JSON.stringify([tls, cluster?.proxyUrl]);
    let lanes = latest?.lanes;
    if (lanes === undefined || tlsInUse !== tlsNow) {
      for (const dispatcher of open) retire(dispatcher);
      lanes = createLanes(tls, cluster?.proxyUrl, limits);
      for (const dispatcher of Object.values(lanes)) open.add(dispatcher);
      tlsInUse = tlsNow;
    }
    latest = { server: (cluster?.server ?? "").replace(/\/$/, ""), headers: formatHeaders(options), lanes };
    return latest;
  };

  return {
    current() {
      if (pending === undefined || performance.now() - readAtMs > FRESH_MS) {
        readAtMs = performance.now();
        pending = withDeadline(read(), limits.connectTimeoutMs);
        pending.catch(() => {
          pending = undefined;
        });
      }
      return pending;
    },
    reject(access) {
      if (access !== latest || access === rejected) return; // another call was refused too, and came first
      rejected = access;
      config = undefined;
      pending = undefined;
    },
    suspect(access) {
      if (access.lanes !== latest?.lanes) return;
      tlsInUse = undefined;
      pending = undefined;
    },
    async close() {
      await Promise.all([...open].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const isDone = new AbortController();
  const deadline = delay(timeoutMs, undefined, { signal: isDone.signal, ref: false }).then(() => {
    throw new Error(`the kubeconfig's credentials took longer than ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    isDone.abort();
  }
}

const TLS_OPTIONS = ["ca", "cert", "key", "pfx", "passphrase", "servername", "rejectUnauthorized"];

function pickTls(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    TLS_OPTIONS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
}

function formatHeaders({ auth, headers = {} }: { auth?: unknown; headers?: unknown }): Record<string, string> {
  const basic = auth ? { authorization: `Basic ${Buffer.from(String(auth)).toString("base64")}` } : {};
  // A token read from a file may end with a line break, which no header may hold.
  const others = Object.entries(headers as Record<string, unknown>).map(([key, value]) => [key, String(value).trim()]);
  return { ...basic, ...Object.fromEntries(others) };
}

/**
 * HTTP/1.1 on purpose: with HTTP/2 all calls share one connection, and when that one hangs, they all do; a call that is
 * given up does not even close it.
 */
function createLanes(
  tls: Record<string, unknown>,
  proxyUrl: string | undefined,
  { maxConnections, connectTimeoutMs }: ConnectionLimits,
): Record<Lane, Dispatcher> {
  const connect = { ...tls, timeout: connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: 30_000 };
  const create = (connections: number | null, headersTimeout: number): Dispatcher => {
    const shared = { connections, headersTimeout, bodyTimeout: 0, keepAliveTimeout: 60_000, allowH2: false };
    if (proxyUrl === undefined) return new Agent({ ...shared, connect });
    return new ProxyAgent({ ...shared, uri: proxyUrl, requestTls: connect });
  };
  // Calls have deadlines of their own; a watch must at least begin in time.
  return { calls: create(maxConnections, 0), watches: create(null, 30_000), urgent: create(1, 0) };
}
