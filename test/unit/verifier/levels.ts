import type { VerifierLevels } from "../../../src/verifier/metrics.ts";

/** The levels of a verifier that knows nothing yet. */
export const NO_LEVELS: VerifierLevels = {
  snapshotAgeSeconds: () => 0,
  tokens: () => 0,
  memoryAgeSeconds: () => 0,
  isFresh: () => false,
  isDatabaseAvailable: () => false,
  clockAheadSeconds: () => 0,
  isKeyringReadable: () => true,
  clientsOverLimit: () => 0,
  usesNotCounted: () => 0,
};
