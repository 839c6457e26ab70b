/*
 * `GET /token`: what a token's holder may know of it, from the token alone.
 */
import type { Answer } from "../lookup.ts";
import { DONT_KNOW, type HttpAnswer, jsonAnswer } from "./answer.ts";
import { type NoToken, refuseBearer } from "./bearer.ts";

/** The answer to the holder. */
export function answerHolder(answer: Answer | NoToken): HttpAnswer {
  if (answer.kind === "unknown") return DONT_KNOW;
  if (answer.kind !== "yes") return refuseBearer(answer);
  const { token, scopes, isInGrace } = answer;
  return jsonAnswer(200, {
    id: token.id,
    owner: token.owner,
    namespace: token.namespace,
    name: token.name,
    scopes,
    issuedAt: token.issuedAt.toISOString(),
    expiresAt: token.expiresAt.toISOString(),
    acceptedUntil: new Date(token.acceptedUntilMs).toISOString(),
    // Its end is set, as a rotation does: the Secret holds the next one.
    isPrevious: token.isEnding,
    isInGrace,
    ...(token.rateLimit === undefined ? {} : { rateLimit: token.rateLimit }),
  });
}
