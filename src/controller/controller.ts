import { setTimeout as delay } from "node:timers/promises";
import type { Change } from "../kube/intake.ts";
import { runLeaderElection } from "../kube/lease.ts";
import { type Reflector, startReflector } from "../kube/reflector.ts";
import { type ApiToken, reduceApiToken } from "../kube/resources/api-token.ts";
import { apiTokensPath } from "../kube/resources/api-token-api.ts";
import { MANAGED_LABEL } from "../kube/resources/group.ts";
import { reduceSecret, type SecretView } from "../kube/resources/secret.ts";
import { secretsPath } from "../kube/resources/secret-api.ts";
import { createStore } from "../kube/store.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { listenForChanges } from "../postgres/changes.ts";
import type { Database } from "../postgres/database.ts";
import { type HealthServer, startHealthServer } from "../runtime/http.ts";
import type { Logger } from "../runtime/log.ts";
import { whenAborted } from "../runtime/signals.ts";
import type { ControllerConfig } from "./config.ts";
import { createLeader, type Leader } from "./leader.ts";
import { type ControllerMetrics, createMetrics } from "./metrics.ts";
import { type Caches, keyOf, SECRETS_BY_OWNER } from "./observe.ts";
import { type Identity, identify } from "./startup.ts";

/** Until ApiTokenPolicies set them: 30 days, by default and at most. */
const LIMITS = { defaultMs: 720 * 3_600_000, maxMs: 720 * 3_600_000 };

/** A graceful stop takes no longer; what is under way then is left to the next leader. */
const STOP_MS = 8_000;

export interface ControllerParts {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  /** Unique among the replicas. */
  readonly identity: string;
  readonly log: Logger;
}

/** A controller at work. */
export interface Controller {
  /** Where /healthz, /readyz and /metrics are served. */
  readonly port: number;
  /** Resolves after a stop; rejects with what no retry mends. */
  readonly finished: Promise<void>;
  /** Gives the lease back and ends within ten seconds. */
  stop(): Promise<void>;
}

/** What the parts of one controller share. */
interface Running extends ControllerParts {
  readonly caches: Caches;
  readonly metrics: ControllerMetrics;
  readonly signal: AbortSignal;
}

/** Starts a controller. Transport and database stay the caller's to close. */
export async function startController(parts: ControllerParts): Promise<Controller> {
  const stopping = new AbortController();
  const fatal = Promise.withResolvers<never>();
  const caches: Caches = {
    apiTokens: createStore<ApiToken>(),
    secrets: createStore<SecretView>({ [SECRETS_BY_OWNER]: (secret) => secret.owner?.uid }),
  };
  const state: { leader?: Leader; isSynced: boolean } = { isSynced: false };
  const metrics = createMetrics({
    queueDepth: () => state.leader?.queue.depth ?? 0,
    busyWorkers: () => state.leader?.queue.busy ?? 0,
    apiTokens: () => caches.apiTokens.size,
    databaseConnections: () => parts.db.usage,
  });
  const server = await serveHealth(parts.config, metrics, () => state.isSynced);
  const running: Running = { ...parts, caches, metrics, signal: stopping.signal };

  const work = async () => {
    const place = { namespace: parts.config.APITOKEN_NAMESPACE, name: parts.config.APITOKEN_KEYRING_SECRET };
    const identified = await identify(parts.transport, parts.db, place, parts.log, stopping.signal);
    const leader = createLeader({ ...running, ...identified, ...leaderSettings(parts), onFatal: fatal.reject });
    state.leader = leader;
    const reflectors = startReflectors(running, identified, leader);
    await Promise.race([Promise.all(reflectors.map(({ synced }) => synced)), whenAborted(stopping.signal)]);
    state.isSynced = true;
    parts.log.info({ apiTokens: caches.apiTokens.size, clusterId: identified.clusterId }, "caches filled");
    await Promise.all([listen(running, identified, leader), elect(running, leader)]);
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  };
  const finished = Promise.race([work(), fatal.promise])
    .catch((error: unknown) => {
      if (!stopping.signal.aborted) throw error;
    })
    .finally(() => {
      stopping.abort();
      return server.close();
    });

  return {
    port: server.port,
    finished,
    async stop() {
      stopping.abort();
      await Promise.race([finished.catch(() => {}), delay(STOP_MS, undefined, { ref: false })]);
    },
  };
}

function leaderSettings({ config }: ControllerParts) {
  return { concurrency: config.APITOKEN_CONCURRENCY, limits: LIMITS };
}

function serveHealth(
  config: ControllerConfig,
  metrics: ControllerMetrics,
  isSynced: () => boolean,
): Promise<HealthServer> {
  return startHealthServer({
    port: config.APITOKEN_HTTP_PORT,
    isHealthy: () => undefined,
    isReady: () => (isSynced() ? undefined : "the caches are not filled yet"),
    metrics: metrics.registry,
  });
}

/** Every replica keeps its caches filled, so that a new leader starts at once. */
function startReflectors(running: Running, { keyring }: Identity, leader: Leader): Reflector[] {
  const { config, transport, caches, log, metrics } = running;
  const namespaces = config.APITOKEN_WATCH_NAMESPACES.length > 0 ? config.APITOKEN_WATCH_NAMESPACES : [undefined];
  return namespaces.flatMap((namespace) => {
    const shared = { transport, log, ...(namespace === undefined ? {} : { namespace }) };
    const onRestart = (resource: string) => (reason: string) => metrics.watchRestarts.inc({ resource, reason });
    return [
      startReflector({
        ...shared,
        path: apiTokensPath(namespace),
        store: caches.apiTokens,
        reduce: reduceApiToken,
        onChange: ({ object }: Change<ApiToken>) => leader.enqueue(keyOf(object.metadata)),
        onRestart: onRestart("apitokens"),
      }),
      startReflector({
        ...shared,
        path: secretsPath(namespace),
        labelSelector: `${MANAGED_LABEL}=true`,
        store: caches.secrets,
        reduce: (raw) => reduceSecret(raw, keyring),
        onChange: ({ object: { metadata, owner } }: Change<SecretView>) => {
          if (owner?.kind === "ApiToken") leader.enqueue(keyOf({ namespace: metadata.namespace, name: owner.name }));
        },
        onRestart: onRestart("secrets"),
      }),
    ];
  });
}

/** Rows that others change, and the database's return after an outage. */
function listen({ db, metrics, log, signal }: Running, { clusterId }: Identity, leader: Leader): Promise<void> {
  return listenForChanges(
    db,
    {
      onChange: (change) => {
        if (change.clusterId === clusterId) leader.enqueue(keyOf(change));
      },
      onConnected: () => {
        metrics.isDatabaseAvailable.set(1);
        log.info("listening for changes in the database");
        leader.onDatabaseBack();
      },
      onLost: (error) => {
        metrics.isDatabaseAvailable.set(0);
        log.warn({ err: error }, "connection to the database lost");
      },
    },
    signal,
  );
}

function elect({ config, transport, identity, log, signal }: Running, { serve }: Leader): Promise<void> {
  return runLeaderElection({
    transport,
    namespace: config.APITOKEN_NAMESPACE,
    name: config.APITOKEN_LEASE_NAME,
    identity,
    leaseDurationMs: config.APITOKEN_LEASE_DURATION,
    renewDeadlineMs: config.APITOKEN_LEASE_RENEW_DEADLINE,
    retryPeriodMs: config.APITOKEN_LEASE_RETRY_PERIOD,
    signal,
    onTerm: serve,
    log,
  });
}
