/*
 * What a pass may touch, in one place: nothing of the rest of the program reaches the code that changes tokens.
 */
import type { EventRecorder } from "../../kube/event-recorder.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import type { HashMethod } from "../../runtime/token-hash.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { Action } from "../../token/plan/action.ts";
import type { Caches } from "./caches.ts";

/** What it takes to observe and to decide. The doctor decides with this alone, without being able to write. */
export interface ReadContext {
  readonly transport: KubeTransport;
  readonly db: Queryable;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly clusterId: string;
}

/** What it takes to carry out a decision as well: only the holder of the Lease has one. */
export interface PassContext extends ReadContext {
  /** The right to write to the database: this leader's epoch. Throws when the database is not available. */
  readonly getFence: () => Promise<Fence>;
  /** How new rows hash their tokens. */
  readonly hashMethod: HashMethod;
  readonly events: EventRecorder;
  /** Called with the actions of each plan that was carried out. */
  readonly onActions?: (actions: readonly Action[]) => void;
}
