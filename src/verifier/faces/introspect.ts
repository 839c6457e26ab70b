/*
 * `POST /introspect`: OAuth 2.0 Token Introspection, RFC 7662. What is not active is `{"active":false}` and nothing else (2.2).
 */
import type { TokenMetadata } from "../../token/model.ts";
import type { Answer } from "../lookup.ts";
import type { KnownToken } from "../memory/known-token.ts";
import { DONT_KNOW, endOf, type HttpAnswer, jsonAnswer, KeptAnswer } from "./answer.ts";

const INACTIVE = new KeptAnswer(jsonAnswer(200, { active: false }));

/** Reads the metadata of a token; undefined if it cannot be read at the moment. */
export type ReadMetadata = (token: KnownToken) => TokenMetadata | undefined;

/** The answer to a backend about a token. */
export function answerIntrospection(answer: Answer, readMetadata: ReadMetadata): HttpAnswer {
  if (answer.kind === "unknown") return DONT_KNOW;
  if (answer.kind === "no") return INACTIVE;
  const { token, isInGrace } = answer;
  const name = isInGrace ? "introspection in grace" : "introspection";
  const kept = token.findAnswer<HttpAnswer>(name);
  if (kept !== undefined) return kept;
  const metadata = readMetadata(token);
  const active = jsonAnswer(200, describeActive(answer, metadata));
  return metadata === undefined ? active : token.keepAnswer(name, new KeptAnswer(active));
}

/** What the answer says, for one that is signed. */
export function describeIntrospection(
  answer: Exclude<Answer, { kind: "unknown" }>,
  readMetadata: ReadMetadata,
): object {
  return answer.kind === "no" ? { active: false } : describeActive(answer, readMetadata(answer.token));
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
