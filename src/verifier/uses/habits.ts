/*
 * What is usual for a token, as one verifier has seen it, and what is not: decisions without a clock or I/O. What is kept of a token is
 * small and bounded, whatever its users do. Times are the database's, in ms since 1970.
 */
import type { AnomalyKind } from "../../token/anomalies.ts";
import { networkOf } from "../../token/network.ts";

/** What is known of a token's uses. */
export interface Habits {
  /** When watching began: nothing is unusual until the learning time is over. */
  readonly sinceMs: number;
  /** The networks that it was used from, those that were seen last at the end. */
  networks: string[];
  /** The addresses of the last hour; undefined until there is a second one. */
  recent: { readonly startMs: number; readonly addresses: string[] } | undefined;
  /** The most uses in a minute so far; halved each week. */
  peak: number;
  peakAtMs: number;
  /** Wrong secrets within the last hour. */
  failures: { readonly startMs: number; count: number } | undefined;
  /** When each kind was last told of. */
  told: Partial<Record<AnomalyKind, number>>;
}

export const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;

/** The same is reported of a token once in this time. */
export const SILENCE_MS = DAY_MS;

/** How many networks of a token are remembered. */
const NETWORKS_KEPT = 16;

/** So many addresses within an hour are many. */
export const MANY_ADDRESSES = 20;

/** So many wrong secrets within an hour are not a mistake. */
export const MANY_WRONG_SECRETS = 10;

/** A rate is unusual if it is this many times the highest so far, and this many uses a minute. */
const UNUSUAL_FACTOR = 5;
export const UNUSUAL_PER_MINUTE = 300;

/** Nothing is known yet. */
export function beginHabits(atMs: number): Habits {
  return {
    sinceMs: atMs,
    networks: [],
    recent: undefined,
    peak: 0,
    peakAtMs: atMs,
    failures: undefined,
    told: {},
  };
}

/** Learns that the token was used from an address, and says what is unusual about that. */
export function learnAddress(habits: Habits, address: string, atMs: number, learningMs: number): AnomalyKind[] {
  const kinds: AnomalyKind[] = [];
  if (isNewNetwork(habits, address)) kinds.push("NewNetwork");
  if (hasManyAddresses(habits, address, atMs)) kinds.push("ManyAddresses");
  return kinds.filter((kind) => mayTell(habits, kind, atMs, learningMs));
}

/** Learns how often the token was used within `spanMs`, and says whether that is unusual. */
export function learnRate(
  habits: Habits,
  uses: number,
  spanMs: number,
  atMs: number,
  learningMs: number,
): AnomalyKind[] {
  const perMinute = (uses * 60_000) / Math.max(spanMs, 60_000);
  const usual = habits.peak * 0.5 ** (Math.max(0, atMs - habits.peakAtMs) / WEEK_MS);
  const isUnusual = perMinute >= UNUSUAL_PER_MINUTE && perMinute > UNUSUAL_FACTOR * usual;
  if (perMinute > usual) {
    habits.peak = perMinute;
    habits.peakAtMs = atMs;
  }
  return isUnusual && mayTell(habits, "UnusualRate", atMs, learningMs) ? ["UnusualRate"] : [];
}

/** Learns of a wrong secret, and says whether there were too many. That is unusual from the beginning. */
export function learnWrongSecret(habits: Habits, atMs: number): AnomalyKind[] {
  const { failures } = habits;
  if (failures === undefined || isOver(failures.startMs, HOUR_MS, atMs)) {
    habits.failures = { startMs: atMs, count: 1 };
    return [];
  }
  failures.count += 1;
  return failures.count >= MANY_WRONG_SECRETS && mayTell(habits, "WrongSecrets", atMs, 0) ? ["WrongSecrets"] : [];
}

function isNewNetwork(habits: Habits, address: string): boolean {
  const network = networkOf(address);
  if (network === undefined) return false;
  const { networks } = habits;
  const place = networks.lastIndexOf(network);
  if (place >= 0) {
    if (place < networks.length - 1) networks.push(...networks.splice(place, 1));
    return false;
  }
  networks.push(network);
  if (networks.length > NETWORKS_KEPT) networks.shift();
  return networks.length > 1;
}

function hasManyAddresses(habits: Habits, address: string, atMs: number): boolean {
  if (habits.recent === undefined || isOver(habits.recent.startMs, HOUR_MS, atMs)) {
    habits.recent = { startMs: atMs, addresses: [address] };
    return false;
  }
  const { addresses } = habits.recent;
  if (addresses.length < MANY_ADDRESSES && !addresses.includes(address)) addresses.push(address);
  return addresses.length >= MANY_ADDRESSES; // also those of the learning time, once it is over
}

/** Whether to tell of it now; notes that it was told. */
function mayTell(habits: Habits, kind: AnomalyKind, atMs: number, learningMs: number): boolean {
  if (atMs - habits.sinceMs < learningMs) return false;
  const toldAtMs = habits.told[kind];
  if (toldAtMs !== undefined && !isOver(toldAtMs, SILENCE_MS, atMs)) return false;
  habits.told[kind] = atMs;
  return true;
}

/** Whether a span is over. If the clock was set back, it is, too: otherwise it might never be. */
function isOver(startMs: number, spanMs: number, atMs: number): boolean {
  return atMs >= startMs + spanMs || atMs < startMs;
}
