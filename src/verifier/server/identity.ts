/*
 * The signed identity that an application gets from its gateway, whichever way that asks.
 */

import type { NoToken } from "../faces/bearer.ts";
import { IDENTITY_TYPE, identityClaims } from "../faces/signed.ts";
import type { CountedAnswer } from "../lookup.ts";
import type { VerifierParts } from "../parts.ts";

/** The identity for the route's application, as a JWT; undefined if none is wanted. */
export function signIdentity(
  { signer, clock }: Pick<VerifierParts, "signer" | "clock">,
  { audience }: { readonly audience: string | undefined },
  answer: CountedAnswer | NoToken,
): string | undefined {
  if (audience === undefined || signer === undefined || answer.kind !== "yes") return undefined;
  const nowMs = clock.nowMs();
  return signer.signOnce(answer.token, `${answer.isInGrace} ${audience}`, nowMs, () => ({
    type: IDENTITY_TYPE,
    claims: identityClaims(signer.issuer, audience, nowMs, answer),
  }));
}
