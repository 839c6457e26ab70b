/*
 * `POST /introspect`: OAuth 2.0 Token Introspection, RFC 7662. What is not active is `{"active":false}` and nothing else (2.2).
 */
import type { TokenMetadata } from "../../token/model.ts";
import type { Answer } from "../lookup.ts";
import { DONT_KNOW, endOf, type HttpAnswer, jsonAnswer } from "./answer.ts";

const INACTIVE: HttpAnswer = jsonAnswer(200, { active: false });

/** The answer to a backend about a token. `metadata` is undefined if it cannot be read. */
export function answerIntrospection(answer: Answer, metadata: TokenMetadata | undefined): HttpAnswer {
  if (answer.kind === "unknown") return DONT_KNOW;
  return answer.kind === "no" ? INACTIVE : jsonAnswer(200, describeActive(answer, metadata));
}

/** What the answer says, for one that is signed. */
export function describeIntrospection(
  answer: Exclude<Answer, { kind: "unknown" }>,
  metadata: TokenMetadata | undefined,
): object {
  return answer.kind === "no" ? { active: false } : describeActive(answer, metadata);
}

function describeActive(answer: Answer & { kind: "yes" }, metadata: TokenMetadata | undefined): object {
  const { token, scopes, isInGrace } = answer;
  return {
    active: true,
    scope: scopes.join(" "),
    client_id: `${token.namespace}/${token.name}`,
    sub: token.owner,
    token_type: "Bearer",
    exp: Math.floor(endOf(answer) / 1_000),
    iat: toSeconds(token.issuedAt),
    nbf: toSeconds(token.issuedAt),
    jti: token.id,
    ...(isInGrace ? { in_grace: true } : {}),
    ...(metadata === undefined || Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1_000);
}
