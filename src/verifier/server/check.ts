/*
 * What gateways ask over gRPC: from the message to the answer, on the same path as /verify.
 */
import { chain } from "../../runtime/chain.ts";
import { type NoToken, orFaulty, readBearer } from "../faces/bearer.ts";
import { type CheckFacts, readCheckRequest } from "../faces/check-request.ts";
import { answerCheck, type CheckRoute, MISCONFIGURED, nameKept, readCheckRoute } from "../faces/ext-authz.ts";
import { answerHealth } from "../faces/grpc-health.ts";
import type { CountedAnswer } from "../lookup.ts";
import type { VerifierParts } from "../parts.ts";
import { frameMessage, GRPC } from "./grpc-message.ts";
import type { GrpcMethod, GrpcReply } from "./grpc-server.ts";
import { signIdentity } from "./identity.ts";
import { timeSomeCalls } from "./timing.ts";

const SERVICE = "envoy.service.auth.v3.Authorization";

/** The methods of the gRPC port. */
export function createGrpcMethods(parts: VerifierParts, isReady: () => boolean): ReadonlyMap<string, GrpcMethod> {
  const { signer } = parts;
  /** A gateway has few routes, so the next request is often for the same. */
  let last: { readonly context: readonly string[]; readonly route: CheckRoute | undefined } | undefined;
  const findRoute = (facts: CheckFacts): CheckRoute | undefined => {
    const { context, addedScopes } = facts;
    if (addedScopes.length > 0) return readCheckRoute(facts);
    if (last === undefined || !isSameList(last.context, context)) last = { context, route: readCheckRoute(facts) };
    return last.route;
  };
  const check: GrpcMethod = (message) => {
    const facts = readCheckRequest(message);
    const route = findRoute(facts);
    // Without a key there is nothing that could be signed: the gateway's configuration is wrong.
    if (route === undefined || (route.audience !== undefined && signer === undefined)) {
      parts.count("grpc", "misconfigured");
      return MISCONFIGURED;
    }
    const face = route.isShadow ? "shadow" : "grpc";
    const address = parts.findAddress(facts.peer, () => facts.forwardedFor);
    const finish = (answer: CountedAnswer | NoToken): GrpcReply => {
      parts.note(face, answer, address === "" ? undefined : address);
      const name = answer.kind === "yes" ? nameKept(route, answer, facts) : undefined;
      if (answer.kind !== "yes" || name === undefined) {
        return answerCheck(route, answer, facts, signIdentity(parts, route, answer));
      }
      const { token } = answer;
      return token.findAnswer<Buffer>(name) ?? token.keepAnswer(name, frameMessage(answerCheck(route, answer, facts)));
    };
    const credentials = readBearer(facts.authorization);
    if (credentials.kind !== "token") return finish(credentials);
    const { token: shown } = credentials;
    const answer = parts.countedLookup(shown, { address, scopes: route.scopes }, route.isShadow);
    return chain(answer, (known) => finish(orFaulty(known, shown)));
  };
  const checkHealth: GrpcMethod = (message) =>
    answerHealth(message, [SERVICE], isReady()) ?? { code: GRPC.notFound, message: "there is no such service" };
  return new Map([
    [`/${SERVICE}/Check`, timeSomeCalls(check, parts.timeAnswer)],
    ["/grpc.health.v1.Health/Check", checkHealth],
  ]);
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, place) => text === other[place]);
}
