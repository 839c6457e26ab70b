import { createEventRecorder } from "../../kube/event-recorder.ts";
import type { LeaseTerm } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import { checkKeys, findKeyUses } from "../../postgres/keys.ts";
import { type Fence, isForgotten, raiseEpoch } from "../../postgres/leader-epoch.ts";
import { requireSchema, SchemaMismatchError } from "../../postgres/migrations.ts";
import { KeyringError } from "../../runtime/keyring-json.ts";
import type { Logger } from "../../runtime/log.ts";
import { describeKeyChecks } from "../../token/key-status.ts";
import type { Action } from "../../token/plan/action.ts";
import type { ControllerConfig } from "../config.ts";
import { createSwappedKeysError, requireKeys } from "../keyring/secret.ts";
import type { PassContext, ReadContext } from "../pass/context.ts";
import { NotLeadingError } from "../pass/failures.ts";

export interface TermOptions extends ReadContext {
  readonly config: Pick<ControllerConfig, "hashMethod" | "keyringPlace">;
  readonly identity: string;
  readonly log: Logger;
  /** Told of a condition that no retry mends. */
  readonly onFatal: (error: unknown) => void;
  /** Told of each epoch that the term begins: from then on it may write. */
  readonly onEpoch?: (fence: Fence) => void;
  readonly onActions?: (actions: readonly Action[]) => void;
  readonly onEventDropped?: () => void;
}

/** What the holder of the Lease works with: nothing is written through it once the Lease may have run out. */
export interface Term {
  readonly context: PassContext;
  /** Has the epoch raised, and once more where the database has forgotten it: it was restored from a backup. */
  readonly confirmFence: () => Promise<void>;
}

/** The means of one term, from winning the Lease to losing it. */
export function createTerm(options: TermOptions, lease: LeaseTerm): Term {
  const { caches, db, keyring, clusterId, config, log, identity, onActions, onEventDropped } = options;
  const transport = guardWrites(options.transport, lease);
  let fence: Promise<Fence> | undefined;
  // Raised once a term, when the database is first there to be written to.
  const getFence = async () => {
    if (!lease.isHeld()) throw new NotLeadingError("the lease may have run out");
    fence ??= startEpoch(options).catch((error: unknown) => {
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
    clusterId,
    hashMethod: config.hashMethod,
    events: createEventRecorder({
      transport,
      controller: "apitoken.dev/controller",
      instance: identity,
      log,
      ...(onEventDropped === undefined ? {} : { onDropped: onEventDropped }),
    }),
    ...(onActions === undefined ? {} : { onActions }),
    getFence,
  };
  return {
    context,
    async confirmFence() {
      const held = await getFence();
      if (!(await isForgotten(db, held))) return;
      log.warn({ epoch: held.epoch }, "the database has gone back in time: a new epoch begins");
      fence = undefined;
      await getFence();
    },
  };
}

/** Begins to write to the database, once it is sure that schema and rows are such as this program can work with. */
async function startEpoch(options: TermOptions): Promise<Fence> {
  const { db, clusterId, identity, onFatal, onEpoch } = options;
  try {
    await requireSchema(db);
    await requireSoundKeyring(options);
  } catch (error) {
    if (error instanceof SchemaMismatchError || error instanceof KeyringError) onFatal(error);
    throw error;
  }
  const fence = await raiseEpoch(db, clusterId, identity);
  onEpoch?.(fence);
  return fence;
}

/** Throws a KeyringError when the keyring lacks a key, or has a known one with other bytes. */
async function requireSoundKeyring({ db, clusterId, keyring, config }: TermOptions): Promise<void> {
  const swapped = (await checkKeys(db, clusterId, describeKeyChecks(keyring))).map(({ id }) => id);
  if (swapped.length > 0) throw createSwappedKeysError(swapped, config.keyringPlace);
  requireKeys(keyring, (await findKeyUses(db, clusterId)).uses);
}

/** Lets no write through once the lease may have run out; reads are harmless. */
function guardWrites(transport: KubeTransport, lease: LeaseTerm): KubeTransport {
  return {
    ...transport,
    request(method, path, options) {
      if (method !== "GET" && !lease.isHeld()) {
        return Promise.reject(new NotLeadingError(`${method} ${path} was held back: the lease may have run out`));
      }
      return transport.request(method, path, options);
    },
  };
}
