/*
 * `GET /token`: what a token's holder may know of it, from the token alone.
 */
import type { Answer } from "../lookup.ts";
import { DONT_KNOW, type HttpAnswer, jsonAnswer } from "./answer.ts";
import { refuseBearer } from "./bearer.ts";

/** The answer to the holder. */
export function answerHolder(answer: Answer): HttpAnswer {
  if (answer.kind === "unknown") return DONT_KNOW;
  if (answer.kind === "no") return refuseBearer(answer);
  const { token, scopes, isInGrace } = answer;
  const { row, prepared } = token;
  return jsonAnswer(200, {
    id: row.id,
    owner: row.owner,
    namespace: row.namespace,
    name: row.name,
    scopes,
    issuedAt: row.issuedAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    acceptedUntil: new Date(prepared.acceptedUntilMs).toISOString(),
    // Its end is set, as a rotation does: the Secret holds the next one.
    isPrevious: row.revokedAt !== undefined,
    isInGrace,
  });
}
