/*
 * Proofs on demand. Whoever must know that nothing has happened up to now waits for a pulse that was sent after they asked; all who
 * wait share it. However many ask, the database sees one small statement every few milliseconds.
 */

/** Proofs that everything which was committed before now has been heard. Times are those of `performance.now()`. */
export interface Prover {
  /** Resolves with true once that is proved, and with false if it takes longer than anybody waits. */
  whenProved(): Promise<boolean>;
  /** Resolves when the next pulse should be sent: after this time, or earlier if somebody waits for it. */
  rest(ms: number): Promise<void>;
  /** Ends the rest at once. */
  wake(): void;
  /** A pulse is about to be sent: it proves what those who have asked until now wait for. */
  beginPulse(): void;
  /** A pulse that was sent at this time has been heard. */
  prove(sentAtMs: number): void;
}

/** Pulses out of turn are not sent more often. */
const SHORTEST_REST_MS = 20;

/** So many are answered before others get their turn: thousands at once would hold up good tokens. */
const GROUP_SIZE = 8;

interface Group {
  readonly proved: Promise<boolean>;
  resolve(isProved: boolean): void;
  size: number;
}

/** Those who wait for the same pulse. */
interface Party {
  readonly groups: Group[];
  settle(isProved: boolean): void;
}

/** Nobody waits longer than `patienceMs`. */
export function createProver(patienceMs: number): Prover {
  let open: Party | undefined;
  const sent: { readonly party: Party; readonly atMs: number }[] = [];
  let endRest = () => {};
  let restsSinceMs = Number.NEGATIVE_INFINITY;

  const gather = (): Party => {
    const groups: Group[] = [];
    const settle = (isProved: boolean) => {
      clearTimeout(timer);
      const group = groups.shift();
      if (group === undefined) return;
      group.resolve(isProved);
      setImmediate(settle, isProved);
    };
    const party = { groups, settle };
    const timer = setTimeout(() => {
      if (open === party) open = undefined;
      settle(false);
    }, patienceMs);
    // While a pulse is on its way nothing rests, and the rest after it is short: only the rest of this moment may be cut short.
    setTimeout(endRest, Math.max(0, restsSinceMs + SHORTEST_REST_MS - performance.now()));
    return party;
  };
  const join = ({ groups }: Party): Group => {
    const last = groups.at(-1);
    if (last !== undefined && last.size < GROUP_SIZE) return last;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const group: Group = { proved: promise, resolve, size: 0 };
    groups.push(group);
    return group;
  };
  return {
    whenProved() {
      open ??= gather();
      const group = join(open);
      group.size += 1;
      return group.proved;
    },
    rest(ms) {
      restsSinceMs = performance.now();
      return new Promise((resolve) => {
        endRest = () => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(endRest, open === undefined ? ms : Math.min(ms, SHORTEST_REST_MS));
      });
    },
    wake: () => endRest(),
    beginPulse() {
      if (open !== undefined) sent.push({ party: open, atMs: performance.now() });
      open = undefined;
    },
    prove(sentAtMs) {
      while (sent[0] !== undefined && sent[0].atMs <= sentAtMs) sent.shift()?.party.settle(true);
    },
  };
}
