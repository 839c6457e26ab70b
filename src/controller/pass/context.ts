/*
 * Everything that a pass may touch, and nothing else. The code that changes tokens gets no other access to the program,
 * and the type shows whether a function can write at all.
 */
import type { EventRecorder } from "../../kube/event-recorder.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { DatabaseClock } from "../../postgres/clock.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import type { HashMethod, TokenHasher } from "../../runtime/token-hash.ts";
import type { DeniedKeys } from "../../token/denied-keys.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { Action } from "../../token/plan/action.ts";
import type { Caches } from "./caches.ts";
import type { OwnerGate } from "./owner-gate.ts";

/** Enough to observe and to decide. The doctor decides with this alone, so it cannot write by mistake. */
export interface ReadContext {
  readonly transport: KubeTransport;
  readonly db: Queryable;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly hasher: TokenHasher;
  readonly clusterId: string;
  /** What an ApiToken may not set on its Secret. */
  readonly deniedKeys: DeniedKeys;
}

/** Enough to carry out a decision as well. Only the holder of the Lease has one. */
export interface PassContext extends ReadContext {
  /** This leader's epoch, which every write to the database must carry. Rejects while the database is not available. */
  readonly getFence: () => Promise<Fence>;
  /** Admits the statements that need the lock of an owner. */
  readonly ownerGate: OwnerGate;
  /** What new tokens begin with. */
  readonly tokenPrefix: string;
  /** How the tokens of new rows are hashed. */
  readonly hashMethod: HashMethod;
  readonly events: EventRecorder;
  /** For what must be decided while the database is away. */
  readonly clock: DatabaseClock;
  /** Called with the actions of a plan after all of them were carried out. */
  readonly onActions?: (actions: readonly Action[]) => void;
}
