/*
 * `POST /explain`: why a token is refused, for those who operate. Everybody else gets the same refusal whatever the reason.
 */
import type { Answer } from "../lookup.ts";
import { type HttpAnswer, jsonAnswer } from "./answer.ts";

/** What else an explanation tells: how old what the answer rests on may be. */
export interface ExplainFacts {
  readonly standing: "fresh" | "doubtful" | "outdated";
  readonly memoryAgeMs: number;
}

/** The answer to an operator. It never holds the token or its hash. */
export function explainAnswer(answer: Answer, { standing, memoryAgeMs }: ExplainFacts): HttpAnswer {
  const memory = { standing, ageMs: Number.isFinite(memoryAgeMs) ? Math.round(memoryAgeMs) : null };
  if (answer.kind === "unknown") return jsonAnswer(200, { answer: "unknown", reason: answer.why, memory });
  const { token } = answer;
  const described = token && {
    id: token.id,
    owner: token.owner,
    namespace: token.namespace,
    name: token.name,
    scopes: token.scopes,
    allowedCIDRs: token.allowedCidrs,
    expiresAt: token.expiresAt.toISOString(),
    ...(token.revokedAt === undefined ? {} : { revokedAt: token.revokedAt.toISOString() }),
    ...(token.rateLimit === undefined ? {} : { rateLimit: token.rateLimit }),
    pepper: token.keyId,
  };
  return jsonAnswer(200, {
    answer: answer.kind,
    ...(answer.kind === "no" ? { reason: answer.why } : { scopes: answer.scopes, isInGrace: answer.isInGrace }),
    ...(described === undefined ? {} : { token: described }),
    memory,
  });
}
