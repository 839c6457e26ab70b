/*
 * GitLab's Token Revocation API: a self-managed GitLab asks which types of tokens can be revoked, and then hands over those that its
 * secret detection has found. Whoever holds a token may end it, so GitLab's own token in the header is not asked for.
 */
import { z } from "zod";
import { LEAK_RULE_ID } from "../../token/token-string.ts";
import { emptyAnswer, jsonAnswer, NO_STORE } from "./answer.ts";
import { LEAKS_PER_CALL } from "./revoke.ts";

/** GitLab makes it of the kind of identifier that a finding has, and of its value: the id of the rule for gitleaks. */
const TYPE = `gitleaks_rule_id_${LEAK_RULE_ID}`;

const findingsSchema = z
  .array(z.object({ type: z.literal(TYPE), token: z.string().min(1).max(4_096) }))
  .max(LEAKS_PER_CALL);

/** Reads the tokens that GitLab has found; undefined if they are not as they should be, or not all of our type. */
export function readFindings(body: unknown): readonly string[] | undefined {
  return findingsSchema.safeParse(body).data?.map(({ token }) => token);
}

export const REVOCABLE_TYPES = jsonAnswer(200, { types: [TYPE] });

/** All were taken. */
export const FINDINGS_TAKEN = emptyAnswer(204, NO_STORE);

/** GitLab does not send these findings again. */
export const BAD_FINDINGS = jsonAnswer(400, {
  error: "invalid_request",
  error_description: `the body must be a JSON array of at most ${LEAKS_PER_CALL} objects like {"type":"${TYPE}","token":"..."}`,
});

/** GitLab sends them again later. */
export const FINDINGS_LATER = emptyAnswer(429, ["Retry-After", "1", ...NO_STORE]);
