/*
 * What the handlers of all listeners work with.
 */
import type { Database } from "../postgres/database.ts";
import type { Keyring } from "../token/keyring.ts";
import type { VerifierClock } from "./clock.ts";
import type { NoToken } from "./faces/bearer.ts";
import type { FindAddress } from "./limits/client-address.ts";
import type { GuardedLookup } from "./limits/failure-limit.ts";
import type { CountedLookup } from "./limits/token-rate.ts";
import type { CountedAnswer, Lookup } from "./lookup.ts";
import type { Truth } from "./memory/truth.ts";
import type { Signer } from "./signing/signer.ts";

/** The ways in which a verifier is asked. */
export type Face =
  | "verify"
  | "shadow"
  | "grpc"
  | "token"
  | "introspect"
  | "tokenreview"
  | "revoke"
  | "leaks"
  | "explain"
  | "caller";

export interface VerifierParts {
  readonly db: Database;
  readonly clock: VerifierClock;
  readonly truth: Truth;
  readonly lookup: Lookup;
  /** For tokens that a client shows itself: with the limit on its failures. */
  readonly guardedLookup: GuardedLookup;
  /** The same for requests that count for the token's rate limit. */
  readonly countedLookup: CountedLookup;
  readonly findAddress: FindAddress;
  readonly keyring: () => Keyring;
  /** A token was ended through this verifier: its row must be read again. */
  hearEnd(id: string): void;
  /** How long gateways may keep a good answer, in seconds. */
  readonly maxAgeSeconds: number;
  /** The audiences for which tokens are meant; empty: any. */
  readonly audiences: readonly string[];
  /** Signs answers; undefined: nothing is signed. */
  readonly signer: Signer | undefined;
  /** The URL under which clients reach this verifier, without a slash at its end; undefined: whatever the request names. */
  readonly issuer: string | undefined;
  /** Counts an answer for which no token was looked up. */
  count(face: Face, result: string): void;
  /** Takes how long an answer took, in seconds. */
  timeAnswer(seconds: number): void;
  /** Counts an answer, and reports the token's use or refusal to the database. */
  note(face: Face, answer: CountedAnswer | NoToken, address: string | undefined): void;
}
