/*
 * What is usual for a token, as one verifier has seen it, and what is not: decisions without a clock or I/O. What is kept of a token is
 * small and bounded, whatever its users do. Times are the database's, in ms since 1970.
 */
import { shareList } from "../../runtime/sharing.ts";
import type { AnomalyKind } from "../../token/anomalies.ts";
import { networkOf } from "../../token/network.ts";

/**
 * What is known of a token's uses. There is one for each token in use, so times are whole seconds since 1970, and what is the same
 * for many tokens is shared: small integers and shared lists take no memory of their own.
 */
export interface Habits {
  /** When watching began: nothing is unusual until the learning time is over. */
  readonly since: number;
  /** The networks that it was used from, those that were seen last at the end. */
  networks: readonly string[];
  /** The addresses of an hour, and when that began. */
  recent: readonly string[];
  recentSince: number;
  /** The most uses in a minute so far; halved each week. */
  peak: number;
  peakAt: number;
  /** Wrong secrets within the last hour. */
  failures: { readonly since: number; count: number } | undefined;
  /** When each kind was last told of. */
  told: Partial<Record<AnomalyKind, number>> | undefined;
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
  const since = toSeconds(atMs);
  return {
    since,
    networks: NONE,
    recent: NONE,
    recentSince: since,
    peak: 0,
    peakAt: since,
    failures: undefined,
    told: undefined,
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
  const usual = habits.peak * 0.5 ** (Math.max(0, atMs - habits.peakAt * 1_000) / WEEK_MS);
  const isUnusual = perMinute >= UNUSUAL_PER_MINUTE && perMinute > UNUSUAL_FACTOR * usual;
  if (perMinute > usual) {
    habits.peak = Math.ceil(perMinute);
    habits.peakAt = toSeconds(atMs);
  }
  return isUnusual && mayTell(habits, "UnusualRate", atMs, learningMs) ? ["UnusualRate"] : [];
}

/** Learns of a wrong secret, and says whether there were too many. That is unusual from the beginning. */
export function learnWrongSecret(habits: Habits, atMs: number): AnomalyKind[] {
  const { failures } = habits;
  if (failures === undefined || isOver(failures.since, HOUR_MS, atMs)) {
    habits.failures = { since: toSeconds(atMs), count: 1 };
    return [];
  }
  failures.count += 1;
  return failures.count >= MANY_WRONG_SECRETS && mayTell(habits, "WrongSecrets", atMs, 0) ? ["WrongSecrets"] : [];
}

function isNewNetwork(habits: Habits, address: string): boolean {
  const network = networkOf(address);
  if (network === undefined) return false;
  const others = habits.networks.filter((known) => known !== network);
  const isNew = others.length === habits.networks.length;
  if (isNew || habits.networks.at(-1) !== network) habits.networks = listOf(others.slice(1 - NETWORKS_KEPT), network);
  return isNew && others.length > 0;
}

function hasManyAddresses(habits: Habits, address: string, atMs: number): boolean {
  if (habits.recent.length === 0 || isOver(habits.recentSince, HOUR_MS, atMs)) {
    habits.recent = listOf(NONE, address);
    habits.recentSince = toSeconds(atMs);
    return false;
  }
  const { recent } = habits;
  if (recent.length < MANY_ADDRESSES && !recent.includes(address)) habits.recent = listOf(recent, address);
  return habits.recent.length >= MANY_ADDRESSES; // also those of the learning time, once it is over
}

const NONE: readonly string[] = [];

/** The list with one more text. Most tokens have one: whoever is behind the same gateway comes from the same address. */
function listOf(others: readonly string[], text: string): readonly string[] {
  return others.length === 0 ? shareList([text]) : [...others, text];
}

/** Whether to tell of it now; notes that it was told. */
function mayTell(habits: Habits, kind: AnomalyKind, atMs: number, learningMs: number): boolean {
  if (atMs - habits.since * 1_000 < learningMs) return false;
  const toldAt = habits.told?.[kind];
  if (toldAt !== undefined && !isOver(toldAt, SILENCE_MS, atMs)) return false;
  habits.told = { ...habits.told, [kind]: toSeconds(atMs) };
  return true;
}

/** Whether a span that began at a second is over. If the clock was set back, it is, too: otherwise it might never be. */
function isOver(start: number, spanMs: number, atMs: number): boolean {
  return atMs >= start * 1_000 + spanMs || atMs < start * 1_000;
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
