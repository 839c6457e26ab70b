/*
 * A controller runs for months, while tokens and certificates on disk rotate hourly and networks drop connections
 * silently. This file decides when to read credentials again and when to give up connections; calls just ask for
 * access.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { Agent, type Dispatcher, ProxyAgent } from "undici";
import { Fault } from "../runtime/fault.ts";
import { stripControls } from "../runtime/text.ts";

/** What a request needs: address, headers and connections. Valid until the next `current`. */
export interface Access {
  /** The API server's address, without a slash at its end. */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly lanes: Readonly<Record<Lane, Dispatcher>>;
}

/**
 * Separate connection pools. `calls` share a bounded number of connections. `watches` have their own, because each
 * holds one for minutes. `urgent` is a single connection that never waits behind calls.
 */
export type Lane = "calls" | "watches" | "urgent";

export interface Credentials {
  current(): Promise<Access>;
  /**
   * The server has rejected this access: the next `current` reads everything again, plugins of the kubeconfig included.
   */
  reject(access: Access): void;
  /**
   * A call got no answer in time: the network may have dropped its connections silently, so later calls open new ones.
   */
  suspect(access: Access): void;
  close(): Promise<void>;
}

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** For opening a connection, and for a plugin of the kubeconfig that fetches credentials. */
  readonly connectTimeoutMs: number;
}

/**
 * Tokens and certificates on disk are read again after this long, as they rotate (a service account's token hourly).
 */
const FRESH_MS = 60_000;

/** Authentication and TLS for every call. Connections are kept until certificates or the proxy change. */
export function createCredentials(load: () => KubeConfig, limits: ConnectionLimits): Credentials {
  let config: KubeConfig | undefined = load();
  let pending: Promise<Access> | undefined;
  let latest: Access | undefined;
  let rejected: Access | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let tlsInUse: string | undefined;
  const open = new Set<Dispatcher>();

  /** Requests in progress finish on the old connections. */
  const retire = (dispatcher: Dispatcher) => {
    const forget = () => void open.delete(dispatcher);
    dispatcher.close().then(forget, forget);
  };

  const read = async (): Promise<Access> => {
    config ??= load();
    const cluster = config.getCurrentCluster();
    const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
    await applyCredentials(config, options);
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
      if (access !== latest || access === rejected) return; // another call has already reported this one
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

/** Characters of what a credentials plugin has written that are quoted. */
const LONGEST_QUOTE = 300;

/** A plugin that is missing or fails is named: its own words rarely say that they come from a plugin. */
async function applyCredentials(
  config: KubeConfig,
  options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0],
): Promise<void> {
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    const user = config.getCurrentUser();
    const command = user?.exec?.command;
    const text = error instanceof Error ? error.message : String(error);
    const firstLines = stripControls(text.trim().slice(0, LONGEST_QUOTE));
    throw new Fault({
      faultCode: "APITOKEN_E_KUBECONFIG_INVALID",
      object: `the kubeconfig's user ${JSON.stringify(user?.name ?? "")}`,
      problem:
        command === undefined
          ? `its credentials cannot be read: ${firstLines}`
          : `its credentials plugin ${JSON.stringify(command)} failed: ${firstLines || "it wrote nothing"}`,
      remedy: command === undefined ? undefined : "run the plugin by hand, and log in again",
    });
  }
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const isDone = new AbortController();
  const deadline = delay(timeoutMs, undefined, { signal: isDone.signal, ref: false }).then(() => {
    throw new Fault({
      faultCode: "APITOKEN_E_KUBECONFIG_INVALID",
      object: "the kubeconfig",
      problem: `its credentials took longer than ${timeoutMs} ms`,
    });
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
  // A token that was read from a file may end with a line break, which a header may not contain.
  const others = Object.entries(headers as Record<string, unknown>).map(([key, value]) => [key, String(value).trim()]);
  return { ...basic, ...Object.fromEntries(others) };
}

/**
 * HTTP/1.1 on purpose: with HTTP/2 all calls share one connection, so if it hangs, they all hang, and aborting a call
 * does not even close it.
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
  // Calls have their own deadlines; a watch has none, but must at least begin in time.
  return { calls: create(maxConnections, 0), watches: create(null, 30_000), urgent: create(1, 0) };
}
