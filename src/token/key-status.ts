import { createHmac } from "node:crypto";
import { currentKey, type Key, type Keyring } from "./keyring.ts";

export const KEY_KINDS = ["pepper", "encryption"] as const;

export type KeyKind = (typeof KEY_KINDS)[number];

/** How many rows that still work were made with a key, and when the last of them ends. */
export interface KeyUse {
  readonly kind: KeyKind;
  readonly id: string;
  readonly rows: number;
  readonly lastEndsAt: Date;
}

/** A key of the ring, or one that rows name and the ring lacks. */
export interface KeyStatus {
  readonly kind: KeyKind;
  readonly id: string;
  readonly state: "coming" | "current" | "old" | "missing";
  readonly activeFrom: Date | undefined;
  readonly rows: number;
  readonly lastEndsAt: Date | undefined;
  /** Whether nothing needs the key any more. */
  readonly isRemovable: boolean;
}

/** The keys of one kind. */
export function keysOf(keyring: Keyring, kind: KeyKind): Keyring["peppers"] {
  return kind === "pepper" ? keyring.peppers : keyring.encryption;
}

/** What has become of every key by `now`, newest first; those that the ring lacks come last. */
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
  return [...inRing, ...missing];
}

/** The keys that rows name and the ring lacks. */
export function findMissingKeys(keyring: Keyring, uses: readonly KeyUse[]): KeyUse[] {
  return uses.filter(({ kind, id }) => !keysOf(keyring, kind).some((key) => key.id === id));
}

function describeState(keyring: Keyring, kind: KeyKind, key: Key, now: Date): KeyStatus["state"] {
  if (key.activeFrom !== undefined && key.activeFrom > now) return "coming";
  return currentKey(keysOf(keyring, kind), now).id === key.id ? "current" : "old";
}

/** A key by the id by which rows name it, and what tells it from another of the same id. */
export interface KeyCheck {
  readonly kind: KeyKind;
  readonly id: string;
  readonly checkValue: Buffer;
}

/** What all keys of a ring can be recognised by. */
export function describeKeyChecks(keyring: Keyring): KeyCheck[] {
  return KEY_KINDS.flatMap((kind) =>
    keysOf(keyring, kind).map((key) => ({ kind, id: key.id, checkValue: checkValueOf(key) })),
  );
}

/** What tells a key from another of the same id, without giving it away: HMAC-SHA-256 of a constant under it. */
export function checkValueOf({ secret }: Key): Buffer {
  return createHmac("sha256", secret).update("apitoken key check value").digest();
}
