/*
 * A leader may be paused, lose the Lease and wake up without knowing. So everything a term writes through is guarded:
 * calls to the API server by the Lease's remaining time, statements by an epoch that the next leader invalidates.
 */
import { createEventRecorder } from "../../kube/event-recorder.ts";
import type { LeaseTerm } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import { createDatabaseClock } from "../../postgres/clock.ts";
import { OwnerBusyError } from "../../postgres/errors.ts";
import { checkKeys, findKeyUses } from "../../postgres/keys.ts";
import { type Fence, isForgotten, raiseEpoch } from "../../postgres/leader-epoch.ts";
import { requireSchema, SchemaMismatchError } from "../../postgres/schema-version.ts";
import { SessionLostError } from "../../postgres/session.ts";
import { KeyringError } from "../../runtime/keyring-json.ts";
import type { Logger } from "../../runtime/log.ts";
import { describeKeyChecks } from "../../token/key-status.ts";
import type { Action } from "../../token/plan/action.ts";
import type { ControllerConfig } from "../config.ts";
import { createSwappedKeysError, requireKeys } from "../keyring/secret.ts";
import type { PassContext, ReadContext } from "../pass/context.ts";
import { NotLeadingError } from "../pass/failures.ts";
import { createOwnerGate } from "../pass/owner-gate.ts";

export interface TermOptions extends Omit<ReadContext, "deniedKeys"> {
  readonly config: Pick<ControllerConfig, "deniedKeys" | "hashMethod" | "keyringPlace" | "tokenPrefix">;
  readonly identity: string;
  readonly log: Logger;
  /** Called with a condition that no retry fixes. */
  readonly onFatal: (error: unknown) => void;
  /** Called with each epoch that the term begins; from then on the term may write to the database. */
  readonly onEpoch?: (fence: Fence) => void;
  /** Requests a pass over an ApiToken whose owner was stuck. */
  readonly onOwnerFree?: (key: string) => void;
  readonly onActions?: (actions: readonly Action[]) => void;
  readonly onEventDropped?: () => void;
}

export interface Term {
  readonly context: PassContext;
  /** Begins an epoch if the term has none, or a new one if the database was restored from a backup without it. */
  readonly confirmFence: () => Promise<void>;
}

/** Creates the context of one term. It refuses to write as soon as the Lease may have expired. */
export function createTerm(options: TermOptions, lease: LeaseTerm): Term {
  const { caches, db, keyring, hasher, clusterId, config, log, identity, onOwnerFree, onActions, onEventDropped } =
    options;
  const transport = guardWrites(options.transport, lease);
  let fence: Promise<Fence> | undefined;
  // Begun once per term, as soon as the database is available.
  const getFence = async () => {
    if (!lease.isHeld()) throw new NotLeadingError("the lease may have expired");
    fence ??= startEpoch(options, lease).catch((error: unknown) => {
      fence = undefined;
      throw error;
    });
    return fence;
  };
  const context: PassContext = {
    transport,
    caches,
    db,
    keyring,
    hasher,
    clusterId,
    deniedKeys: config.deniedKeys,
    tokenPrefix: config.tokenPrefix,
    hashMethod: config.hashMethod,
    events: createEventRecorder({
      transport,
      controller: "apitoken.dev/controller",
      instance: identity,
      log,
      ...(onEventDropped === undefined ? {} : { onDropped: onEventDropped }),
    }),
    clock: createDatabaseClock(db),
    ...(onActions === undefined ? {} : { onActions }),
    getFence,
    ownerGate: createOwnerGate({
      isStuck: (error) => error instanceof OwnerBusyError,
      retry: onOwnerFree ?? (() => {}),
      signal: lease.signal,
    }),
  };
  return {
    context,
    async confirmFence() {
      const held = await getFence();
      if (!(await isForgotten(db, held))) return;
      log.warn({ epoch: held.epoch }, "the database has gone back in time; beginning a new epoch");
      fence = undefined;
      await getFence();
    },
  };
}

/** Begins an epoch after checking that this program can work with the schema, and the keyring with the rows. */
async function startEpoch(options: TermOptions, lease: LeaseTerm): Promise<Fence> {
  const { db, clusterId, identity, onFatal, onEpoch } = options;
  try {
    await requireSchema(db);
    await requireSoundKeyring(options);
  } catch (error) {
    const isLasting = [SchemaMismatchError, KeyringError, SessionLostError].some((kind) => error instanceof kind);
    if (isLasting) onFatal(error);
    throw error;
  }
  const fence = await raiseEpoch(db, clusterId, identity, lease.heldForMs);
  onEpoch?.(fence);
  return fence;
}

/** Throws a KeyringError if the keyring lacks a key that rows need, or if the bytes of a key have changed. */
async function requireSoundKeyring({ db, clusterId, keyring, config }: TermOptions): Promise<void> {
  const swapped = (await checkKeys(db, clusterId, describeKeyChecks(keyring))).map(({ id }) => id);
  if (swapped.length > 0) throw createSwappedKeysError(swapped, config.keyringPlace);
  requireKeys(keyring, (await findKeyUses(db, clusterId)).uses);
}

/** Refuses writes once the lease may have expired. Reads are harmless and always pass. */
function guardWrites(transport: KubeTransport, lease: LeaseTerm): KubeTransport {
  return {
    ...transport,
    request(method, path, options) {
      if (method !== "GET" && !lease.isHeld()) {
        return Promise.reject(new NotLeadingError(`${method} ${path} was not sent: the lease may have expired`));
      }
      return transport.request(method, path, options);
    },
  };
}
