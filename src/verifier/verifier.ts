/*
 * Puts a verifier together, and takes it apart in an order in which nobody who asks is let down.
 */
import { setTimeout as delay } from "node:timers/promises";
import { openDatabase, type Queryable } from "../postgres/database.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import { requireSchema } from "../postgres/migrations.ts";
import { startHealthServer } from "../runtime/health-server.ts";
import type { Logger } from "../runtime/log.ts";
import { pause, unlessAborted, whenEnded } from "../runtime/signals.ts";
import { createTokenHasher } from "../runtime/token-hash.ts";
import { createBackendHandler } from "./backend.ts";
import { createFindAddress } from "./client-address.ts";
import { createVerifierClock } from "./clock.ts";
import type { VerifierConfig } from "./config.ts";
import { createGatewayHandler } from "./gateway.ts";
import { startHttpServer } from "./http-server.ts";
import { openKeyringFile } from "./keyring-file.ts";
import { type Answer, createLookup } from "./lookup.ts";
import { createBlockages } from "./memory/blockages.ts";
import { createFinder } from "./memory/finder.ts";
import { keepMemory } from "./memory/keeper.ts";
import { createTokenMemory } from "./memory/memory.ts";
import { createTruth } from "./memory/truth.ts";
import { createVerifierMetrics } from "./metrics.ts";
import type { VerifierParts } from "./parts.ts";
import { createUseReports } from "./uses.ts";

/** A running verifier. */
export interface Verifier {
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly httpPort: number;
  /** Resolves when memory has been filled, so that the verifier is ready. */
  readonly ready: Promise<void>;
  /** Rejects with an error that no retry fixes; resolves after `stop`. */
  readonly finished: Promise<void>;
  /** Answers for as long as gateways may need to notice, and then ends everything. */
  stop(): Promise<void>;
}

/** How many pulses fit into the time that memory counts without one. */
const PULSES_PER_LOSS = 3;

/** Longer than any look-up waits; a database that takes longer is as good as away. */
const STATEMENT_TIMEOUT_MS = 3_000;

/** Envoy gives up after 200 ms. */
const PATIENCE_MS = 150;

const CLOSE_MS = 1_000;
const SCHEMA_RETRY_MS = 500;

/** Certificates are replaced days before they end. */
const CERTIFICATE_EVERY_MS = 60_000;

/**
 * Starts a verifier: it listens at once, and is ready when memory has been filled. Throws a KeyringError, or a Fault if a port
 * is taken.
 */
export async function startVerifier(config: VerifierConfig, identity: string, log: Logger): Promise<Verifier> {
  const ending = new AbortController();
  const { signal } = ending;
  const file = await openKeyringFile(config.keyringFile, log, signal);
  const db = openDatabase({
    ...config.databaseLogin,
    role: "apitoken_verifier",
    actor: `verifier/${identity}`,
    maxConnections: config.databaseConnections,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onIdleError: (error) => log.debug({ err: error }, "idle database connection lost"),
  });
  const clock = createVerifierClock();
  const truth = createTruth(config);
  const memory = createTokenMemory(config.cacheRows);
  const blockages = createBlockages();
  const uses = createUseReports(db, log);
  const ready = Promise.withResolvers<void>();
  let isDatabaseAvailable = false;
  let isDraining = false;

  const metrics = createVerifierMetrics({
    tokens: () => memory.size,
    memoryAgeSeconds: () => truth.ageMs / 1_000,
    isFresh: () => truth.standing() === "fresh",
    isDatabaseAvailable: () => isDatabaseAvailable,
    clockAheadSeconds: () => clock.aheadMs / 1_000,
    isKeyringReadable: () => file.isReadable,
  });
  const finder = createFinder({
    db,
    memory,
    clock,
    patienceMs: PATIENCE_MS,
    onStatement: metrics.countStatement,
    onFailure: (error) => log.debug({ err: error }, "tokens could not be looked up"),
  });
  const keyring = () => file.keyring;
  const hasher = createTokenHasher();
  const parts: VerifierParts = {
    db,
    clock,
    truth,
    lookup: createLookup({
      memory,
      blockages,
      truth,
      finder,
      clock,
      hasher,
      keyring,
      onSource: metrics.countSource,
    }),
    findAddress: createFindAddress(config.trustedProxies),
    keyring,
    hearEnd: memory.hearChange,
    maxAgeSeconds: config.maxAgeSeconds,
    audiences: config.audiences,
    issuer: config.issuer,
    count: metrics.countAnswer,
    note(face, answer, address) {
      metrics.countAnswer(face, resultOf(answer));
      report(answer, address);
    },
  };
  /** A use of a token that is dead must be seen, too: somebody still has it. Refusals are recorded by the token's id. */
  const report = (answer: Answer, address: string | undefined) => {
    if (answer.kind === "unknown" || answer.token === undefined) return;
    uses.noteUse(answer.token, clock.nowMs(), address);
    if (answer.kind === "no") uses.noteRefusal(answer.token.row.id, answer.why, address);
  };

  const health = await startHealthServer({
    port: config.httpPort,
    isHealthy: () => undefined,
    isReady: () =>
      isDraining ? "stopping" : truth.isComplete ? undefined : "the tokens have not been read from the database yet",
    metrics: metrics.registry,
  });
  const listener = { tls: config.tls };
  const gateway = await startHttpServer({ ...listener, port: config.gatewayPort, handle: createGatewayHandler(parts) });
  const backend = await startHttpServer({
    ...listener,
    port: config.introspectionPort,
    handle: createBackendHandler(parts),
  });
  const certificates = setInterval(() => {
    for (const server of [gateway, backend]) server.renewCertificate();
  }, CERTIFICATE_EVERY_MS);
  certificates.unref();

  const keep = async () => {
    await waitForSchema(db, log, signal);
    await keepMemory(
      {
        db,
        memory,
        blockages,
        truth,
        clock,
        log,
        limit: config.cacheRows,
        pulseMs: config.staleAfterMs / PULSES_PER_LOSS,
        onComplete: () => ready.resolve(),
        onHeard() {
          isDatabaseAvailable = true;
        },
        onLost() {
          isDatabaseAvailable = false;
        },
      },
      signal,
    );
  };
  return {
    gatewayPort: gateway.port,
    introspectionPort: backend.port,
    httpPort: health.port,
    ready: ready.promise,
    finished: keep(),
    async stop() {
      isDraining = true;
      await delay(config.drainMs);
      clearInterval(certificates);
      await Promise.all([gateway.close(CLOSE_MS), backend.close(CLOSE_MS)]);
      await whenEnded(uses.stop(), CLOSE_MS);
      ending.abort(new Error("stopped"));
      await Promise.all([health.close(), whenEnded(db.close(), CLOSE_MS)]);
    },
  };
}

function resultOf(answer: Answer): string {
  return answer.kind === "yes" ? "yes" : answer.kind === "unknown" ? "unknown" : answer.why;
}

/** The schema is checked once the database is there; until then the verifier waits, as it would in an outage. */
async function waitForSchema(db: Queryable, log: Logger, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await unlessAborted(requireSchema(db), signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof DatabaseUnavailableError)) throw error;
      log.warn({ err: error }, "the database is not there yet; trying again");
      await pause(SCHEMA_RETRY_MS, signal);
    }
  }
}
