/*
 * Watches the uses of each token for what is unusual, and reports it: to the audit trail, and to the controller, which makes an Event.
 * A watched address costs nothing in the hot path until it changes; rates are looked at once a minute.
 */
import type { Queryable } from "../../postgres/database.ts";
import { reportAnomalies, type TokenAnomaly } from "../../postgres/verifier-reports.ts";
import type { AnomalyKind } from "../../token/anomalies.ts";
import { isWithin, toBlockList } from "../../token/network.ts";
import { beginHabits, type Habits, learnAddress, learnRate, learnWrongSecret } from "./habits.ts";
import type { Uses } from "./uses.ts";
import { createWaiting } from "./waiting.ts";

export interface WatchOptions {
  readonly db: Queryable;
  /** How long a token is watched before anything about it is unusual. 0: nothing ever is. */
  readonly learningMs: number;
  /** Networks in which addresses change all the time. */
  readonly podNetworks: readonly string[];
  readonly onAnomaly: (kind: AnomalyKind) => void;
}

/** Watches uses. */
export interface Watch {
  /** A token is used. Call it before the use is noted, because it compares the address with the latest one. */
  see(uses: Uses, atMs: number, address: string | undefined): void;
  /** Somebody knows a token's id, and not its secret. */
  seeWrongSecret(uses: Uses, atMs: number, address: string | undefined): void;
  /** Looks at the rates, and reports what is unusual. Throws the database's errors; what could not be reported is kept. */
  flush(): Promise<void>;
}

/** Rates are of spans that are at least this long. */
const SPAN_MS = 60_000;

/** How many tokens' rates are looked at. */
const MOST_WATCHED = 200_000;

/** Watches nothing yet. `nowMs` is the database's time. */
export function createWatch({ db, learningMs, podNetworks, onAnomaly }: WatchOptions, nowMs: () => number): Watch {
  const pods = toBlockList(podNetworks);
  let active: Uses[] = [];
  let spanStartMs: number | undefined;
  const waiting = createWaiting<TokenAnomaly>(db, reportAnomalies);

  const habitsOf = (uses: Uses, atMs: number): Habits => {
    uses.habits ??= beginHabits(atMs);
    return uses.habits;
  };
  const tell = ({ id }: Uses, kinds: readonly AnomalyKind[], address: string | undefined) => {
    for (const kind of kinds) {
      onAnomaly(kind);
      waiting.add({ id, kind, address });
    }
  };
  const lookAtRates = (atMs: number) => {
    spanStartMs ??= atMs;
    const spanMs = atMs - spanStartMs;
    if (spanMs >= 0 && spanMs < SPAN_MS) return;
    for (const uses of active) {
      if (spanMs > 0) {
        tell(uses, learnRate(habitsOf(uses, atMs), uses.sinceLook, spanMs, atMs, learningMs), uses.latestAddress);
      }
      uses.sinceLook = 0;
    }
    active = [];
    spanStartMs = atMs;
  };
  return {
    see(uses, atMs, address) {
      if (learningMs === 0) return;
      if (address !== undefined && address !== uses.latestAddress && !isWithin(address, pods)) {
        tell(uses, learnAddress(habitsOf(uses, atMs), address, atMs, learningMs), address);
      }
      if (uses.sinceLook === 0) {
        if (active.length >= MOST_WATCHED) return;
        active.push(uses);
      }
      uses.sinceLook += 1;
    },
    seeWrongSecret(uses, atMs, address) {
      if (learningMs > 0) tell(uses, learnWrongSecret(habitsOf(uses, atMs), atMs), address);
    },
    async flush() {
      lookAtRates(nowMs());
      await waiting.flush();
    },
  };
}
