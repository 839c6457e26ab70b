/*
 * Puts a verifier together, and takes it apart in an order in which nobody who asks is let down.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Database, openDatabase } from "../postgres/database.ts";
import { startHealthServer } from "../runtime/health-server.ts";
import type { Logger } from "../runtime/log.ts";
import { whenEnded } from "../runtime/signals.ts";
import { createTokenHasher } from "../runtime/token-hash.ts";
import { isAddress } from "../token/network.ts";
import { RATE_LIMITED } from "../token/verdict.ts";
import { openBreakGlass } from "./break-glass/tokens.ts";
import type { VerifierConfig } from "./config.ts";
import type { NoToken } from "./faces/bearer.ts";
import { type KeyringFile, openKeyringFile } from "./keyring-file.ts";
import { createKnowledge, type Knowledge } from "./knowledge.ts";
import { createFindAddress } from "./limits/client-address.ts";
import { createFailureLimit, type FailureLimit, guardLookup } from "./limits/failure-limit.ts";
import { limitRates } from "./limits/token-rate.ts";
import { type Answer, type CountedAnswer, createLookup, type EmergencyTokens } from "./lookup.ts";
import { createVerifierMetrics, type VerifierLevels, type VerifierMetrics } from "./metrics.ts";
import type { Face, VerifierParts } from "./parts.ts";
import { startListeners } from "./server/listeners.ts";
import { settleShapes } from "./server/shapes.ts";
import { createSigner, type Signer } from "./signing/signer.ts";
import { createUseReports, type UseReports } from "./uses/reports.ts";

/** A running verifier. */
export interface Verifier {
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Resolves when memory has been filled, so that the verifier is ready. */
  readonly ready: Promise<void>;
  /** Rejects with an error that no retry fixes; resolves after `stop`. */
  readonly finished: Promise<void>;
  /** Answers for as long as gateways may need to notice, and then ends everything. */
  stop(): Promise<void>;
}

/** Longer than any look-up waits; a database that takes longer is as good as away. */
const STATEMENT_TIMEOUT_MS = 3_000;

const CLOSE_MS = 1_000;

/** A hundred thousand tokens' uses are reported within it. */
const REPORT_MS = 3_000;

/** A busy disk may take a second or two. */
const SNAPSHOT_MS = 2_500;

/**
 * Starts a verifier: it listens at once, and is ready when memory has been filled. Throws a KeyringError, or a Fault if a port
 * is taken.
 */
export async function startVerifier(config: VerifierConfig, identity: string, log: Logger): Promise<Verifier> {
  await settleShapes();
  const ending = new AbortController();
  const file = await openKeyringFile(config.keyringFile, log, ending.signal);
  const signer = config.signing && (await createSigner({ ...config.signing, log, signal: ending.signal }));
  const db = connect(config, identity, log);
  const knowledge = createKnowledge({
    ...config,
    db,
    log,
    keyring: () => file.keyring,
    onStatement: () => metrics.countStatement(),
    onMissedChange: () => metrics.countMissedChange(),
  });
  const breakGlass = await openBreakGlass(config.breakGlassFile, knowledge.clock, log, ending.signal);
  const failures = createFailureLimit({ perMinute: config.failuresPerMinute });
  const metrics = createVerifierMetrics({
    ...readLevels(knowledge, file, failures),
    usesNotCounted: () => uses.lost,
  });
  const uses = createUseReports({ ...config, db, log, onAnomaly: metrics.countAnomaly, nowMs: knowledge.clock.nowMs });
  let isDraining = false;
  const health = await startHealthServer({
    port: config.httpPort,
    isHealthy: () => undefined,
    isReady: () => (isDraining ? "stopping" : findWhatIsMissing(knowledge)),
    metrics: metrics.registry,
  });
  const listeners = await startListeners(
    config,
    assemble({ config, db, log, file, signer, knowledge, breakGlass, failures, metrics, uses }),
    log,
  );
  return {
    gatewayPort: listeners.gatewayPort,
    introspectionPort: listeners.introspectionPort,
    grpcPort: listeners.grpcPort,
    httpPort: health.port,
    ready: knowledge.ready,
    finished: knowledge.keep(ending.signal),
    async stop() {
      isDraining = true;
      listeners.leave();
      await delay(config.drainMs);
      await listeners.close(CLOSE_MS);
      await Promise.all([whenEnded(uses.stop(), REPORT_MS), whenEnded(knowledge.snapshots.write(), SNAPSHOT_MS)]);
      ending.abort(new Error("stopped"));
      await Promise.all([health.close(), whenEnded(db.close(), CLOSE_MS)]);
    },
  };
}

function connect(config: VerifierConfig, identity: string, log: Logger): Database {
  return openDatabase({
    ...config.databaseLogin,
    role: "apitoken_verifier",
    actor: `verifier/${identity}`,
    maxConnections: config.databaseConnections,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onIdleError: (error) => log.debug({ err: error }, "idle database connection lost"),
  });
}

/** Whether the database answers does not matter: an outage must not take every pod out of the Service. */
function findWhatIsMissing({ truth }: Knowledge): string | undefined {
  return truth.isComplete ? undefined : "the tokens have not been read from the database yet";
}

function readLevels(
  knowledge: Knowledge,
  file: KeyringFile,
  failures: FailureLimit,
): Omit<VerifierLevels, "usesNotCounted"> {
  const { memory, truth, clock, snapshots } = knowledge;
  return {
    tokens: () => memory.size,
    memoryAgeSeconds: () => truth.ageMs / 1_000,
    isFresh: () => truth.standing() === "fresh",
    isDatabaseAvailable: () => knowledge.isDatabaseAvailable,
    clockAheadSeconds: () => clock.aheadMs / 1_000,
    isKeyringReadable: () => file.isReadable,
    clientsOverLimit: () => failures.clientsOver,
    snapshotAgeSeconds: () => snapshots.ageMs / 1_000,
  };
}

interface Materials {
  readonly config: VerifierConfig;
  readonly db: Database;
  readonly log: Logger;
  readonly file: KeyringFile;
  readonly signer: Signer | undefined;
  readonly knowledge: Knowledge;
  readonly breakGlass: EmergencyTokens | undefined;
  readonly failures: FailureLimit;
  readonly metrics: VerifierMetrics;
  readonly uses: UseReports;
}

/** What the listeners' handlers work with. */
function assemble(materials: Materials): VerifierParts {
  const { config, db, log, file, signer, knowledge, breakGlass, failures, metrics, uses } = materials;
  const { memory, truth, clock, spotChecks } = knowledge;
  const keyring = () => file.keyring;
  const hasher = createTokenHasher();
  const onSource = metrics.countSource;
  const lookup = createLookup({ ...knowledge, hasher, breakGlass, keyring, onSource });
  const guardedLookup = guardLookup(lookup, failures);
  return {
    db,
    clock,
    truth,
    keyring,
    lookup,
    guardedLookup,
    countedLookup: limitRates(guardedLookup),
    findAddress: createFindAddress(config.trustedProxies),
    hearEnd: memory.hearChange,
    maxAgeSeconds: config.maxAgeSeconds,
    audiences: config.audiences,
    issuer: config.issuer,
    signer,
    count: metrics.countAnswer,
    timeAnswer: metrics.timeAnswer,
    note(face, answer, address) {
      metrics.countAnswer(face, resultOf(answer));
      if (answer.kind === "yes" && answer.isBreakGlass) {
        metrics.countBreakGlass();
        // Clients and backends say where they are, and that may be anything.
        logBreakGlass(log, face, answer, address !== undefined && isAddress(address) ? address : undefined);
        return;
      }
      if (answer.kind === "none" || answer.kind === "faulty") return;
      if (answer.kind === "yes") spotChecks.note(answer.token);
      uses.note(answer, answer.kind === "yes" ? answer.atMs : clock.nowMs(), address);
    },
  };
}

function resultOf(answer: CountedAnswer | NoToken): string {
  return answer.kind === "no" ? answer.why : answer.kind === "limited" ? RATE_LIMITED : answer.kind;
}

function logBreakGlass(
  log: Logger,
  face: Face,
  { token }: Answer & { kind: "yes" },
  address: string | undefined,
): void {
  const { id: tokenId, name, owner } = token;
  log.warn({ face, tokenId, name, owner, address }, "a break-glass token was used");
}
