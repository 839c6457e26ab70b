/*
 * Labels and annotations of Secrets. Other people put theirs on the same Secrets, so a pass must change only its own, and must
 * remember which ones those are.
 */
import type { DesiredToken } from "./model.ts";
import { formatTime } from "./status.ts";

/** Labels and annotations that a Secret has or should have. */
export interface Decoration {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A JSON merge patch (RFC 7386) of a Decoration: null removes a key. */
export interface DecorationPatch {
  readonly labels: Readonly<Record<string, string | null>>;
  readonly annotations: Readonly<Record<string, string | null>>;
}

/** The id of the token that the Secret holds. */
export const TOKEN_ID_ANNOTATION = "apitoken.dev/token-id";

/** The keys that the spec asked for last time: those it no longer asks for are removed, other people's keys are kept. */
const APPLIED_ANNOTATION = "apitoken.dev/applied-keys";

/** What a Secret that holds the token should carry. */
export function wantDecoration(
  desired: DesiredToken,
  managedLabel: string,
  token: { readonly id: string; readonly expiresAt: Date },
): Decoration {
  const { labels, annotations } = desired.secret;
  const applied = JSON.stringify({ labels: Object.keys(labels).sort(), annotations: Object.keys(annotations).sort() });
  return {
    labels: { ...labels, [managedLabel]: "true" },
    annotations: {
      ...annotations,
      [TOKEN_ID_ANNOTATION]: token.id,
      "apitoken.dev/expires-at": formatTime(token.expiresAt),
      [APPLIED_ANNOTATION]: applied,
    },
  };
}

/** An HMAC of what a Secret with templates holds: see `sealContents`. */
export const SEAL_ANNOTATION = "apitoken.dev/contents-seal";

/** The proof that a Secret holds a token hashed with bcrypt: see `proveHash`. */
export const PROOF_ANNOTATION = "apitoken.dev/hash-proof";

/** Gives `current` all of `wanted`, and removes the keys that were wanted only earlier; undefined if nothing has to change. */
export function diffDecoration(current: Decoration, wanted: Decoration): DecorationPatch | undefined {
  const applied = readApplied(current.annotations[APPLIED_ANNOTATION]);
  const labels = diffKeys(current.labels, wanted.labels, applied.labels);
  const annotations = diffKeys(current.annotations, wanted.annotations, applied.annotations);
  const isSame = Object.keys(labels).length === 0 && Object.keys(annotations).length === 0;
  return isSame ? undefined : { labels, annotations };
}

function diffKeys(
  current: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  applied: readonly string[],
): Record<string, string | null> {
  const changed = Object.entries(wanted).filter(([key, value]) => current[key] !== value);
  const dropped = applied.filter((key) => !Object.hasOwn(wanted, key) && Object.hasOwn(current, key));
  return Object.fromEntries([...changed, ...dropped.map((key): [string, null] => [key, null])]);
}

/** Anybody can edit the annotation: if it is not in our format, it names no keys. */
function readApplied(text: string | undefined): { labels: readonly string[]; annotations: readonly string[] } {
  try {
    const value = JSON.parse(text ?? "{}") as Record<string, unknown>;
    return { labels: readKeys(value.labels), annotations: readKeys(value.annotations) };
  } catch {
    return { labels: [], annotations: [] };
  }
}

function readKeys(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((key) => typeof key === "string") : [];
}
