/*
 * How often a client may show tokens that are none. Good tokens are judged before this is looked at, so nobody is refused for what
 * others do from the same address: beyond the limit, a refusal only asks to wait, and costs the database next to nothing.
 */
import { isIPv6 } from "node:net";
import { chain } from "../../runtime/chain.ts";
import { networkOf } from "../../token/network.ts";
import { isBearerToken } from "../../token/token-string.ts";
import type { Answer, Lookup } from "../lookup.ts";

export interface FailureLimits {
  /** How many failures a client has in a minute; 0: any number. */
  readonly perMinute: number;
}

/** Counts failures by client. */
export interface FailureLimit {
  note(address: string): void;
  isOver(address: string): boolean;
  /** How many clients are beyond the limit. */
  readonly clientsOver: number;
}

const MINUTE_MS = 60_000;

/** Beyond that many clients, those whose minute began first are forgotten. */
const MOST_CLIENTS = 20_000;

interface Minute {
  readonly endsAtMs: number;
  failures: number;
}

/** Begins with no failures. Times are those of `performance.now()`. */
export function createFailureLimit({ perMinute }: FailureLimits, now = () => performance.now()): FailureLimit {
  /** In the order in which the minutes began. */
  const minutes = new Map<string, Minute>();

  const forgetEnded = () => {
    const nowMs = now();
    for (const [client, { endsAtMs }] of minutes) {
      if (endsAtMs > nowMs && minutes.size <= MOST_CLIENTS) return;
      minutes.delete(client);
    }
  };
  return {
    note(address) {
      if (perMinute === 0) return;
      const client = clientOf(address);
      const minute = minutes.get(client);
      if (minute !== undefined && minute.endsAtMs > now()) {
        minute.failures += 1;
        return;
      }
      minutes.delete(client);
      minutes.set(client, { endsAtMs: now() + MINUTE_MS, failures: 1 });
      forgetEnded();
    },
    isOver(address) {
      if (minutes.size === 0) return false;
      const minute = minutes.get(clientOf(address));
      return minute !== undefined && minute.failures >= perMinute && minute.endsAtMs > now();
    },
    get clientsOver() {
      forgetEnded();
      return [...minutes.values()].filter(({ failures }) => failures >= perMinute).length;
    },
  };
}

/** Whoever has an IPv6 address has a whole /64 of them. */
function clientOf(address: string): string {
  return (isIPv6(address) ? networkOf(address) : undefined) ?? address;
}

/** Says what a token that a client shows is worth, unless the client has shown too many that are none. */
export type GuardedLookup = (
  plaintext: string,
  request: { readonly address: string; readonly scopes: readonly string[] },
) => Answer | Promise<Answer>;

const TOO_MANY: Answer = { kind: "no", why: "TooManyFailures" };

/** Puts the limit in front of a look-up. */
export function guardLookup(lookup: Lookup, limit: FailureLimit): GuardedLookup {
  const settle = (answer: Answer, plaintext: string, address: string, isOver: boolean): Answer => {
    if (answer.kind !== "no") return answer;
    if (isGuess(answer) && isBearerToken(plaintext)) limit.note(address);
    // Every refusal that looks the same otherwise looks the same now, too.
    return isOver && answer.why !== "ScopeMissing" ? TOO_MANY : answer;
  };
  return (plaintext, request) => {
    const { address } = request;
    const isOver = limit.isOver(address);
    const looked = lookup(plaintext, request, isOver ? "sparing" : "usual");
    return chain(looked, (answer) => settle(answer, plaintext, address, isOver));
  };
}

/** Whether somebody may be trying tokens. Whoever shows a dead one has held it, and what no header may hold is a mistake. */
function isGuess({ why }: Answer & { kind: "no" }): boolean {
  return why === "Malformed" || why === "Unknown" || why === "WrongSecret";
}
