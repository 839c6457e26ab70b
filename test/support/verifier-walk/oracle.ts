/*
 * Says which answers of a verifier are right. It shares no code with the verifier, and knows what was done to the rows and when.
 * An answer may be as old as the documentation says; older it may not be, in either direction. "Don't know" is never wrong.
 */
import { createHistory, type History } from "./history.ts";

/** What decides about a token; times in ms since 1970. No row: it was deleted. */
export interface ModelRow {
  /** When it stops being accepted: its expiry with the grace, or an earlier revocation. */
  readonly acceptedUntilMs: number;
}

/** A token as the oracle knows it. */
export interface ModelToken {
  readonly id: string;
  readonly plaintext: string;
  readonly owner: string;
  readonly row: History<ModelRow | undefined>;
}

/** An answer to somebody who showed a token. */
export interface Observation {
  readonly verifier: string;
  readonly token: ModelToken;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly status: number;
}

/** What the documentation promises, in ms. */
export interface Bounds {
  /** How old an answer may be while the database answers. */
  readonly staleMs: number;
  /** How old it may be while the database does not answer. */
  readonly outageMs: number;
}

/** How far the clocks of the test and of the database may be apart. */
const CLOCK_TOLERANCE_MS = 20;

/** An answer that took longer shows that the machine was too busy for the verifier to ask the database in its time. */
export const SLOW_MS = 100;

/** Judges what verifiers have answered. */
export interface Oracle {
  /** The owners' blocks: from when on they count, in ms since 1970; Infinity for none. */
  blockOf(owner: string): History<number>;
  /** Until the function that it returns is called, and for a while longer, this verifier may not get answers from the database. */
  disturb(verifier: string, nowMs: number): (nowMs: number) => void;
  /** What is wrong with an answer; undefined if it is right. Only about times at which every change has settled. */
  findFault(observation: Observation): string | undefined;
  /** Whether a token is good; undefined if that may change at this moment. */
  isGood(token: ModelToken, nowMs: number): boolean | undefined;
}

interface Disturbance {
  readonly verifier: string;
  readonly fromMs: number;
  untilMs: number;
}

/** Connections are replaced, and what they have missed is read again, within this time. */
const RECOVERY_MS = 4_000;

/** Creates an oracle that has seen nothing. */
export function createOracle({ staleMs, outageMs }: Bounds): Oracle {
  const blocks = new Map<string, History<number>>();
  const disturbances: Disturbance[] = [];

  const blockOf = (owner: string) => {
    const block = blocks.get(owner) ?? createHistory(Number.POSITIVE_INFINITY);
    blocks.set(owner, block);
    return block;
  };
  const isDisturbed = ({ verifier, askedAtMs, answeredAtMs }: Observation) =>
    answeredAtMs - askedAtMs > SLOW_MS ||
    disturbances.some(
      (one) => one.verifier === verifier && one.fromMs <= answeredAtMs && askedAtMs <= one.untilMs + RECOVERY_MS,
    );
  /** Whether the token was good, or bad, at some moment of the span. */
  const verdicts = (token: ModelToken, fromMs: number, untilMs: number): Set<boolean> => {
    const found = new Set<boolean>();
    for (const row of token.row.within(fromMs, untilMs)) {
      for (const block of blockOf(token.owner).within(fromMs, untilMs)) {
        const start = Math.max(row.fromMs, block.fromMs);
        const end = Math.min(row.untilMs, block.untilMs);
        if (start > end) continue;
        const endsMs =
          row.value === undefined ? Number.NEGATIVE_INFINITY : Math.min(row.value.acceptedUntilMs, block.value);
        found.add(start - CLOCK_TOLERANCE_MS < endsMs);
        found.add(end + CLOCK_TOLERANCE_MS < endsMs);
      }
    }
    return found;
  };

  return {
    blockOf,
    disturb(verifier, nowMs) {
      const disturbance = { verifier, fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY };
      disturbances.push(disturbance);
      return (untilMs) => {
        disturbance.untilMs = untilMs;
      };
    },
    findFault(observation) {
      const { token, askedAtMs, answeredAtMs, status } = observation;
      if (status === 503) return undefined;
      if (status !== 200 && status !== 401) return `the status ${status} is none that /verify may answer here`;
      const ageMs = isDisturbed(observation) ? outageMs : staleMs;
      const possible = verdicts(token, askedAtMs - ageMs, answeredAtMs);
      if (possible.has(status === 200)) return undefined;
      return status === 200
        ? `it said yes to a token that had been dead for more than ${ageMs} ms`
        : `it refused a token that had been good for more than ${ageMs} ms`;
    },
    isGood(token, nowMs) {
      const [verdict, other] = verdicts(token, nowMs, nowMs);
      return other === undefined ? verdict : undefined;
    },
  };
}
