/*
 * What gateways and holders of tokens ask, in the hot path of every request: from the request to the answer, without waiting where
 * memory suffices.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { chain } from "../../runtime/chain.ts";
import type { HttpAnswer } from "../faces/answer.ts";
import { NOT_FOUND } from "../faces/answer.ts";
import { type NoToken, orFaulty, readBearer } from "../faces/bearer.ts";
import { answerGateway, MARKER, readRoute, type VerifyRoute } from "../faces/forward-auth.ts";
import { answerHolder } from "../faces/self.ts";
import { KEYS_PATH } from "../faces/server-metadata.ts";
import { describeKeys } from "../faces/signed.ts";
import type { Answer, CountedAnswer } from "../lookup.ts";
import type { VerifierParts } from "../parts.ts";
import type { Signer } from "../signing/signer.ts";
import { headerValues } from "./http-server.ts";
import { signIdentity } from "./identity.ts";
import { send } from "./send.ts";

/** A route that is the same for all requests of a gateway is read once; clients can make up more, behind a misconfigured one. */
const ROUTES_KEPT = 1_000;

const NOTHING_WANTED: readonly string[] = [];

/** Handles the requests of gateways: `/verify`, `/shadow` and `/token`. */
export function createGatewayHandler(parts: VerifierParts): RequestListener {
  const { clock, maxAgeSeconds, signer } = parts;
  const freshness = { maxAgeSeconds, nowMs: clock.nowMs };
  const routes = new Map<string, VerifyRoute | undefined>();
  /** A gateway has few routes, so the next request is often for the same. Without a marker the route is the whole URL: not kept here. */
  let last: { readonly own: string; readonly route: VerifyRoute } | undefined;

  const findRoute = (url: string): VerifyRoute | undefined => {
    if (last !== undefined && url.startsWith(last.own)) return last.route;
    const marker = url.indexOf(MARKER);
    const own = marker < 0 ? url : url.slice(0, marker + MARKER.length);
    const route = findOwnRoute(own);
    if (marker >= 0 && route !== undefined) last = { own, route };
    return route;
  };
  const findOwnRoute = (own: string): VerifyRoute | undefined => {
    const kept = routes.get(own);
    if (kept !== undefined || routes.has(own)) return kept;
    if (routes.size >= ROUTES_KEPT) routes.clear();
    const read = readRoute(own);
    // Without a key there is nothing that could be signed: the gateway's configuration is wrong, and no request may pass.
    const route = read?.audience !== undefined && signer === undefined ? undefined : read;
    routes.set(own, route);
    return route;
  };
  const verify = (request: IncomingMessage, response: ServerResponse, route: VerifyRoute) => {
    const face = route.isShadow ? "shadow" : "verify";
    const address = addressOf(request, parts);
    const finish = (answer: CountedAnswer | NoToken) => {
      parts.note(face, answer, address);
      send(response, answerGateway(route, answer, freshness, signIdentity(parts, route, answer)));
    };
    const credentials = readBearer(headerValues(request, "authorization"));
    if (credentials.kind !== "token") return finish(credentials);
    const { token } = credentials;
    const answer = parts.countedLookup(token, { address, scopes: route.scopes }, route.isShadow);
    void chain(answer, (known) => finish(orFaulty(known, token)));
  };
  const describe = (request: IncomingMessage, response: ServerResponse) => {
    const address = addressOf(request, parts);
    const finish = (answer: Answer | NoToken) => {
      parts.note("token", answer, address);
      send(response, answerHolder(answer));
    };
    const credentials = readBearer(headerValues(request, "authorization"));
    if (credentials.kind !== "token") return finish(credentials);
    const { token } = credentials;
    const answer = parts.guardedLookup(token, { address, scopes: NOTHING_WANTED });
    void chain(answer, (known) => finish(orFaulty(known, token)));
  };

  return (request, response) => {
    const url = request.url ?? "";
    const route = findRoute(url);
    if (route !== undefined) return verify(request, response, route);
    if (url === "/token" && request.method === "GET") return describe(request, response);
    send(response, answerKeys(url, signer) ?? NOT_FOUND);
  };
}

/** The public keys, on both ports: applications behind a gateway may not reach the other one. */
export function answerKeys(path: string, signer: Signer | undefined): HttpAnswer | undefined {
  return path === KEYS_PATH && signer !== undefined ? describeKeys(signer.publicKeys) : undefined;
}

/** Where a request comes from, as far as that can be trusted. */
export function addressOf(request: IncomingMessage, { findAddress }: Pick<VerifierParts, "findAddress">): string {
  return findAddress(request.socket.remoteAddress ?? "", () => headerValues(request, "x-forwarded-for"));
}
