/*
 * `POST /revoke`: OAuth 2.0 Token Revocation, RFC 7009. Whoever holds a token may end it, so no other proof is asked for; and
 * nobody learns whether a token was good, because the answer is 200 either way (2.2). `POST /leaks`: the same for many tokens
 * that were found where they should not be.
 */
import { z } from "zod";
import { DONT_KNOW, emptyAnswer, oauthError } from "./answer.ts";

/** How many tokens one call of `/leaks` may name. */
export const LEAKS_PER_CALL = 1_000;

const leaksSchema = z.object({ tokens: z.array(z.string().min(1).max(4_096)).min(1).max(LEAKS_PER_CALL) });

/** Reads the tokens of `/leaks` from the parsed body; undefined if they are not as they should be. */
export function readLeaks(body: unknown): readonly string[] | undefined {
  return leaksSchema.safeParse(body).data?.tokens;
}

export const REVOKED = emptyAnswer(200);

/** RFC 7009, 2.2.1: the client must assume that the token still exists. */
export const NOT_REVOKED = DONT_KNOW;

export const LEAKS_TAKEN = emptyAnswer(202);

export const NO_TOKEN = oauthError(400, "invalid_request", "the form has no token, or more than one");
export const BAD_LEAKS = oauthError(
  400,
  "invalid_request",
  `the body must be JSON like {"tokens":["..."]} with 1 to ${LEAKS_PER_CALL} tokens`,
);
