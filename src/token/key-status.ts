/*
 * Which keys are still needed and whether they are the right ones: a key that is removed too early, or replaced by other bytes
 * under the same id, invalidates every token that was made with it.
 */
import { createHmac } from "node:crypto";
import { currentKey, type Key, type Keyring } from "./keyring.ts";

/** The kinds of keys that are rotated. */
export const KEY_KINDS = ["pepper", "encryption"] as const;

export type KeyKind = (typeof KEY_KINDS)[number];

/** Those, and the kind of the one key that is never rotated. */
export type AnyKeyKind = KeyKind | "pseudonym";

/** How many accepted tokens were made with a key, and when the last of them ends. */
export interface KeyUse {
  readonly kind: KeyKind;
  readonly id: string;
  readonly rows: number;
  readonly lastEndsAt: Date;
}

/** A key of the keyring, or one that rows name although the keyring lacks it. */
export interface KeyStatus {
  readonly kind: AnyKeyKind;
  readonly id: string;
  /** "kept" is the key that is never rotated. */
  readonly state: "coming" | "current" | "old" | "missing" | "kept";
  readonly activeFrom: Date | undefined;
  readonly rows: number;
  readonly lastEndsAt: Date | undefined;
  /** Whether no accepted token needs the key any longer. */
  readonly isRemovable: boolean;
}

/** The keyring's keys of one kind. */
export function keysOf(keyring: Keyring, kind: KeyKind): Keyring["peppers"] {
  return kind === "pepper" ? keyring.peppers : keyring.encryption;
}

/** The state of every key at `now`, newest first of each kind; keys that the keyring lacks come last. */
export function describeKeys(keyring: Keyring, uses: readonly KeyUse[], now: Date): KeyStatus[] {
  const inRing = KEY_KINDS.flatMap((kind) =>
    keysOf(keyring, kind).map((key): KeyStatus => {
      const use = uses.find((each) => each.kind === kind && each.id === key.id);
      const state = describeState(keyring, kind, key, now);
      const { id, activeFrom } = key;
      const { rows = 0, lastEndsAt } = use ?? {};
      return { kind, id, state, activeFrom, rows, lastEndsAt, isRemovable: state === "old" && rows === 0 };
    }),
  );
  const missing = findMissingKeys(keyring, uses).map(
    (use): KeyStatus => ({ ...use, state: "missing", activeFrom: undefined, isRemovable: false }),
  );
  const kept = { state: "kept", activeFrom: undefined, rows: 0, lastEndsAt: undefined, isRemovable: false } as const;
  return [...inRing, { ...kept, kind: "pseudonym", id: keyring.pseudonym.id }, ...missing];
}

/** The keys that rows name although the keyring lacks them. */
export function findMissingKeys(keyring: Keyring, uses: readonly KeyUse[]): KeyUse[] {
  return uses.filter(({ kind, id }) => !keysOf(keyring, kind).some((key) => key.id === id));
}

function describeState(keyring: Keyring, kind: KeyKind, key: Key, now: Date): KeyStatus["state"] {
  if (key.activeFrom !== undefined && key.activeFrom > now) return "coming";
  return currentKey(keysOf(keyring, kind), now).id === key.id ? "current" : "old";
}

/** A key's id, as rows name it, and a value that differs for different bytes under the same id. */
export interface KeyCheck {
  readonly kind: AnyKeyKind;
  readonly id: string;
  readonly checkValue: Buffer;
}

/** The check values of all keys of a keyring. */
export function describeKeyChecks(keyring: Keyring): KeyCheck[] {
  const rotated = KEY_KINDS.flatMap((kind) => keysOf(keyring, kind).map((key) => ({ kind, key })));
  return [...rotated, { kind: "pseudonym" as const, key: keyring.pseudonym }].map(({ kind, key }) => ({
    kind,
    id: key.id,
    checkValue: checkValueOf(key),
  }));
}

/** HMAC-SHA-256 of a constant under the key: recognises the key without revealing it. */
export function checkValueOf({ secret }: Key): Buffer {
  return createHmac("sha256", secret).update("apitoken key check value").digest();
}
