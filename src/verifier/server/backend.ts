/*
 * What backends, kube-apiserver, scanners and operators ask. Whoever asks about other people's tokens shows one of their own, an
 * ApiToken with the scope for it.
 */
import type { IncomingMessage, RequestListener } from "node:http";
import { endToken } from "../../postgres/verification.ts";
import { chain, type Soon } from "../../runtime/chain.ts";
import { readJson } from "../../runtime/json.ts";
import { decryptMetadata } from "../../token/metadata-cipher.ts";
import { DONT_KNOW, emptyAnswer, type HttpAnswer, NOT_FOUND, oauthError, TOO_MANY_FAILURES } from "../faces/answer.ts";
import { AMBIGUOUS_CLIENT, NAMELESS_CLIENT, readClient, UNKNOWN_CLIENT } from "../faces/client-authentication.ts";
import { explainAnswer } from "../faces/explain.ts";
import { type Form, onlyValue, readForm, valuesOf } from "../faces/form.ts";
import {
  BAD_FINDINGS,
  FINDINGS_LATER,
  FINDINGS_TAKEN,
  REVOCABLE_TYPES,
  readFindings,
} from "../faces/gitlab-revocation.ts";
import { answerIntrospection, describeIntrospection } from "../faces/introspect.ts";
import { BAD_LEAKS, LEAKS_TAKEN, NO_TOKEN, NOT_REVOKED, REVOKED, readLeaks } from "../faces/revoke.ts";
import { describeServer } from "../faces/server-metadata.ts";
import {
  INTROSPECTION_JWT,
  introspectionClaims,
  introspectionJwtAnswer,
  wantsIntrospectionJwt,
} from "../faces/signed.ts";
import { answerReview, readTokenReview } from "../faces/token-review.ts";
import type { KnownToken } from "../memory/known-token.ts";
import type { VerifierParts } from "../parts.ts";
import type { Signer } from "../signing/signer.ts";
import { addressOf, answerKeys } from "./gateway.ts";
import { headerValues, readBody } from "./http-server.ts";
import { send } from "./send.ts";

/** The scopes that callers need. */
export const INTROSPECT_SCOPE = "apitoken:introspect";
export const EXPLAIN_SCOPE = "apitoken:explain";

const INTROSPECTORS = [INTROSPECT_SCOPE];
const EXPLAINERS = [EXPLAIN_SCOPE];
const NOTHING_WANTED: readonly string[] = [];

/** A thousand tokens of `/leaks` fit into it. */
const BODY_LIMIT_BYTES = 131_072;

/** A request with its body read. */
interface Call {
  readonly request: IncomingMessage;
  readonly body: string;
  readonly address: string;
}

type Handler = (parts: VerifierParts, call: Call) => Soon<HttpAnswer>;

/** Asked far more often than all others together. */
const INTROSPECT_PATH = "/introspect";

const POSTS: ReadonlyMap<string, Handler> = new Map([
  [INTROSPECT_PATH, introspect],
  ["/tokenreview", reviewToken],
  ["/revoke", revoke],
  ["/leaks", takeLeaks],
  ["/v1/revoke_tokens", takeFindings],
  ["/explain", explain],
]);

const METADATA_PATH = "/.well-known/oauth-authorization-server";
/** The rest of the body is not read, so nothing else can come over this connection. */
const TOO_LARGE = oauthError(
  413,
  "invalid_request",
  `the body is larger than ${BODY_LIMIT_BYTES} bytes, or broke off`,
  ["Connection", "close"],
);
const NOT_POST = emptyAnswer(405, ["Allow", "POST"]);
const NOT_A_FORM = oauthError(415, "invalid_request", "the body must be application/x-www-form-urlencoded");

/** Handles the requests of backends and of other callers. */
export function createBackendHandler(parts: VerifierParts): RequestListener {
  return (request, response) => {
    const finish = (answer: HttpAnswer) => send(response, answer);
    const { url = "" } = request;
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const handler = path === INTROSPECT_PATH ? introspect : POSTS.get(path);
    if (handler === undefined || request.method !== "POST") {
      return finish(answerGet(parts, request, path) ?? (handler === undefined ? NOT_FOUND : NOT_POST));
    }
    readBody(request, BODY_LIMIT_BYTES, (body) => {
      if (body === undefined) return finish(TOO_LARGE);
      void chain(handler(parts, { request, body, address: addressOf(request, parts) }), finish);
    });
  };
}

/** The documents for clients; undefined if there is none at this path. */
function answerGet(parts: VerifierParts, request: IncomingMessage, path: string): HttpAnswer | undefined {
  if (request.method !== "GET") return undefined;
  const { signer } = parts;
  if (isMetadataPath(parts, path)) return describeServer(issuerOf(parts, request), signer?.algorithm);
  return answerKeys(path, signer) ?? (path === "/v1/revocable_token_types" ? REVOCABLE_TYPES : undefined);
}

/** RFC 8414, 3: the path of the issuer, if it has one, stands behind. */
function isMetadataPath({ issuer }: VerifierParts, path: string): boolean {
  const issuerPath = issuer === undefined ? "" : new URL(issuer).pathname.replace(/\/+$/, "");
  return path === METADATA_PATH || path === METADATA_PATH + issuerPath;
}

function issuerOf({ issuer }: VerifierParts, request: IncomingMessage): string {
  return issuer ?? `${"encrypted" in request.socket ? "https" : "http"}://${request.headers.host ?? "localhost"}`;
}

function introspect(parts: VerifierParts, call: Call): Soon<HttpAnswer> {
  const form = formOf(call);
  if (form === undefined) return NOT_A_FORM;
  const signer = wantsIntrospectionJwt(headerValues(call.request, "accept")) ? parts.signer : undefined;
  return chain(findCaller(parts, call, form, INTROSPECTORS), (caller) => {
    if (caller.kind === "refused") return caller.isNameless && signer !== undefined ? NAMELESS_CLIENT : caller.answer;
    const token = onlyValue(form, "token");
    if (token === undefined) return NO_TOKEN;
    // A token that is bound to networks is inactive unless the backend says where its own client is.
    const address = onlyValue(form, "client_address") ?? "";
    return chain(parts.lookup(token, { address, scopes: NOTHING_WANTED }), (answer) => {
      parts.note("introspect", answer, address === "" ? undefined : address);
      const readMetadata = (known: KnownToken) => metadataOf(parts, known);
      return signer === undefined || answer.kind === "unknown"
        ? answerIntrospection(answer, readMetadata)
        : signIntrospection(parts, signer, caller.token, describeIntrospection(answer, readMetadata));
    });
  });
}

function signIntrospection(
  { clock }: VerifierParts,
  signer: Signer,
  caller: KnownToken,
  described: object,
): HttpAnswer {
  const claims = introspectionClaims(signer.issuer, `${caller.namespace}/${caller.name}`, clock.nowMs(), described);
  return introspectionJwtAnswer(signer.sign(INTROSPECTION_JWT, claims));
}

function metadataOf({ keyring }: VerifierParts, { encryptedMetadata, id }: KnownToken) {
  return decryptMetadata(encryptedMetadata, id, keyring());
}

async function reviewToken(parts: VerifierParts, call: Call): Promise<HttpAnswer> {
  const caller = await findCaller(parts, call, undefined, INTROSPECTORS);
  if (caller.kind === "refused") return caller.answer;
  const review = readTokenReview(readJson(call.body));
  if (review === undefined) return oauthError(400, "invalid_request", "the body must be a TokenReview, v1 or v1beta1");
  const answer = await parts.lookup(review.spec.token, { address: "", scopes: [] });
  parts.note("tokenreview", answer, undefined);
  return answerReview(review, answer, parts.audiences);
}

async function explain(parts: VerifierParts, call: Call): Promise<HttpAnswer> {
  const form = formOf(call);
  if (form === undefined) return NOT_A_FORM;
  const caller = await findCaller(parts, call, form, EXPLAINERS);
  if (caller.kind === "refused") return caller.answer;
  const token = onlyValue(form, "token");
  if (token === undefined) return NO_TOKEN;
  const request = { address: onlyValue(form, "client_address"), scopes: valuesOf(form, "scope") };
  const answer = await parts.lookup(token, request, "thorough");
  parts.count("explain", answer.kind);
  return explainAnswer(answer, { standing: parts.truth.standing(), memoryAgeMs: parts.truth.ageMs });
}

async function revoke(parts: VerifierParts, call: Call): Promise<HttpAnswer> {
  const form = formOf(call);
  if (form === undefined) return NOT_A_FORM;
  const token = onlyValue(form, "token");
  if (token === undefined) return NO_TOKEN;
  return (await end(parts, token, "RevokedByHolder")) ? REVOKED : NOT_REVOKED;
}

async function takeLeaks(parts: VerifierParts, call: Call): Promise<HttpAnswer> {
  const tokens = readLeaks(readJson(call.body));
  if (tokens === undefined) return BAD_LEAKS;
  return (await endLeaked(parts, tokens)) ? LEAKS_TAKEN : DONT_KNOW;
}

async function takeFindings(parts: VerifierParts, call: Call): Promise<HttpAnswer> {
  const tokens = readFindings(readJson(call.body));
  if (tokens === undefined) return BAD_FINDINGS;
  return (await endLeaked(parts, tokens)) ? FINDINGS_TAKEN : FINDINGS_LATER;
}

/** Ends all of them, even if one cannot be ended now; false if there is such a one. */
async function endLeaked(parts: VerifierParts, tokens: readonly string[]): Promise<boolean> {
  let areAllEnded = true;
  for (const token of tokens) areAllEnded = (await end(parts, token, "Leaked")) && areAllEnded;
  return areAllEnded;
}

/** Ends a token for whoever has shown it. Returns false if it cannot be said whether that has been done. */
async function end(parts: VerifierParts, plaintext: string, reason: "RevokedByHolder" | "Leaked"): Promise<boolean> {
  const answer = await parts.lookup(plaintext, {});
  parts.count(reason === "Leaked" ? "leaks" : "revoke", answer.kind);
  // Only whoever edits the file can end a break-glass token.
  if (answer.kind === "unknown" || (answer.kind === "yes" && answer.isBreakGlass)) return false;
  // A token that is refused for now may be good later: its block may be lifted. A dead one has nothing left to end.
  if (answer.token === undefined || (answer.kind === "no" && answer.why !== "OwnerBlocked")) return true;
  const { token } = answer;
  try {
    await endToken(parts.db, token, reason);
    return true;
  } catch {
    return false;
  } finally {
    parts.hearEnd(token.id);
  }
}

/** Who asks, by their token; or the answer to somebody who may not ask. `isNameless`: they have not said who they are. */
type Caller =
  | { readonly kind: "known"; readonly token: KnownToken }
  | { readonly kind: "refused"; readonly answer: HttpAnswer; readonly isNameless?: boolean };

function findCaller(
  parts: VerifierParts,
  { request, address }: Call,
  form: Form | undefined,
  scopes: readonly string[],
): Soon<Caller> {
  const client = readClient(headerValues(request, "authorization"), form);
  if (client.kind === "faulty") return { kind: "refused", answer: AMBIGUOUS_CLIENT };
  if (client.kind === "none") return { kind: "refused", answer: UNKNOWN_CLIENT, isNameless: true };
  return chain(parts.guardedLookup(client.token, { address, scopes }), (answer): Caller => {
    parts.note("caller", answer, address);
    if (answer.kind === "unknown") return { kind: "refused", answer: DONT_KNOW };
    if (answer.kind === "yes") return { kind: "known", token: answer.token };
    return { kind: "refused", answer: answer.why === "TooManyFailures" ? TOO_MANY_FAILURES : UNKNOWN_CLIENT };
  });
}

function formOf({ request, body }: Call): Form | undefined {
  // Of all headers only this one is read: Node would make an object of all of them.
  return readForm(body, headerValues(request, "content-type")?.[0]);
}
