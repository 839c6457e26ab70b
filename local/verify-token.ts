/*
 * Verifies a token as the verifier does, but without its memory: the row is read each time, so that a test sees what is true now.
 */
import type { Queryable } from "../src/postgres/database.ts";
import type { VerifiableToken } from "../src/postgres/verification.ts";
import type { TokenHasher } from "../src/runtime/token-hash.ts";
import type { Keyring } from "../src/token/keyring.ts";
import { decryptMetadata } from "../src/token/metadata-cipher.ts";
import type { TokenMetadata } from "../src/token/model.ts";
import type { TokenRequest } from "../src/token/verdict.ts";
import { createVerifierClock } from "../src/verifier/clock.ts";
import { createLookup } from "../src/verifier/lookup.ts";
import { createBlockages } from "../src/verifier/memory/blockages.ts";
import { createFinder } from "../src/verifier/memory/finder.ts";
import { createTokenMemory } from "../src/verifier/memory/memory.ts";
import { createProver } from "../src/verifier/memory/prover.ts";
import { createTruth } from "../src/verifier/memory/truth.ts";

export interface VerifyParts {
  readonly db: Queryable;
  readonly keyring: Keyring;
  readonly hasher: TokenHasher;
}

/** A good token, with the scopes that it has now. */
export interface VerifiedToken
  extends Pick<
    VerifiableToken,
    "id" | "namespace" | "name" | "owner" | "scopes" | "allowedCidrs" | "hashAlgorithm" | "expiresAt" | "revokedAt"
  > {
  /** Undefined if it cannot be read, for example because the keyring lacks its key. */
  readonly metadata: TokenMetadata | undefined;
}

const PATIENCE_MS = 30_000;

/** The token with this plaintext if it is good for the request. Throws if that cannot be said. */
export async function verifyToken(
  { db, keyring, hasher }: VerifyParts,
  plaintext: string,
  request: TokenRequest = {},
): Promise<VerifiedToken | undefined> {
  const clock = createVerifierClock();
  const memory = createTokenMemory(1);
  let failure: unknown;
  const finder = createFinder({
    db,
    memory,
    clock,
    patienceMs: PATIENCE_MS,
    onStatement: () => {},
    onFailure: (error) => {
      failure = error;
    },
  });
  const truth = createTruth({ staleAfterMs: 0, outageMs: 0 });
  const blockages = createBlockages();
  const prover = createProver(PATIENCE_MS);
  const lookup = createLookup({ memory, blockages, truth, prover, finder, clock, hasher, keyring: () => keyring });
  const answer = await lookup(plaintext, request);
  if (answer.kind === "unknown")
    throw failure ?? new Error(`it cannot be said whether the token is good: ${answer.why}`);
  if (answer.kind === "no") return undefined;
  const { id, namespace, name, owner, allowedCidrs, hashAlgorithm, expiresAt, revokedAt, encryptedMetadata } =
    answer.token;
  const metadata = decryptMetadata(encryptedMetadata, id, keyring);
  return {
    id,
    namespace,
    name,
    owner,
    scopes: answer.scopes,
    allowedCidrs,
    hashAlgorithm,
    expiresAt,
    revokedAt,
    metadata,
  };
}
