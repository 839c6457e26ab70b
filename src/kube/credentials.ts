import { KubeConfig } from "@kubernetes/client-node";
import { Agent, type Dispatcher, ProxyAgent } from "undici";

/** What every request carries now. */
export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  /** For calls: a bounded number of connections that all share. */
  readonly calls: Dispatcher;
  /** For watches, each of which holds a connection for minutes and would take it from the calls. */
  readonly watches: Dispatcher;
}

export interface Credentials {
  /** The API server's address, without a slash at its end. */
  readonly server: string;
  current(): Promise<Access>;
  /** Makes the next `current` read everything anew: the server has refused what we had. */
  refresh(): void;
  close(): Promise<void>;
}

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
}

/** Tokens and certificates on disk are rotated (a service account's token hourly): they are read again after this long. */
const FRESH_MS = 60_000;

/** Reads a kubeconfig file, or finds one as kubectl does, the pod's service account included. */
export function loadKubeConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  return config;
}

/** Authentication and TLS for every call, from the kubeconfig; connections are kept for as long as the TLS side stays. */
export function createCredentials(config: KubeConfig, limits: ConnectionLimits): Credentials {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig names no cluster; set current-context in it");
  let pending: Promise<Access> | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let connections: { fingerprint: string; calls: Dispatcher; watches: Dispatcher } | undefined;

  const read = async (): Promise<Access> => {
    const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
    await config.applyToHTTPSOptions(options);
    const tls = pickTls(options as Record<string, unknown>);
    const fingerprint = JSON.stringify(tls);
    if (connections?.fingerprint !== fingerprint) {
      // Requests under way end on the old connections, in their own time.
      void connections?.calls.close();
      void connections?.watches.close();
      connections = { fingerprint, ...createDispatchers(tls, cluster.proxyUrl, limits) };
    }
    const basic = options.auth ? { authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` } : {};
    const headers = Object.entries((options.headers ?? {}) as Record<string, unknown>);
    return { ...connections, headers: { ...basic, ...Object.fromEntries(headers.map(([k, v]) => [k, String(v)])) } };
  };

  return {
    server: cluster.server.replace(/\/$/, ""),
    current() {
      if (pending === undefined || performance.now() - readAtMs > FRESH_MS) {
        readAtMs = performance.now();
        pending = read();
        pending.catch(() => {
          readAtMs = Number.NEGATIVE_INFINITY;
        });
      }
      return pending;
    },
    refresh() {
      readAtMs = Number.NEGATIVE_INFINITY;
    },
    async close() {
      await Promise.all([connections?.calls.destroy(), connections?.watches.destroy()]);
    },
  };
}

const TLS_OPTIONS = ["ca", "cert", "key", "pfx", "passphrase", "servername", "rejectUnauthorized"];

function pickTls(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    TLS_OPTIONS.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
}

function createDispatchers(
  tls: Record<string, unknown>,
  proxyUrl: string | undefined,
  { maxConnections, connectTimeoutMs }: ConnectionLimits,
): { calls: Dispatcher; watches: Dispatcher } {
  const shared = { keepAliveTimeout: 60_000, headersTimeout: 30_000, bodyTimeout: 0 };
  const create = (connections: number | null): Dispatcher =>
    proxyUrl === undefined
      ? new Agent({ ...shared, connections, connect: { ...tls, timeout: connectTimeoutMs, keepAlive: true } })
      : new ProxyAgent({ ...shared, connections, uri: proxyUrl, requestTls: tls });
  return { calls: create(maxConnections), watches: create(null) };
}
