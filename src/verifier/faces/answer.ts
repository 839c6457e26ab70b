/*
 * What the faces have in common: how an answer over HTTP looks, and those that several of them give.
 */

import type { RateStanding } from "../../token/rate-limit.ts";
import type { Answer } from "../lookup.ts";

/** An answer over HTTP: `headers` are names and values in turn, as `writeHead` takes them. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body?: string;
  /** The body has only ASCII, so that it can be sent in one piece with the headers. */
  readonly isAscii?: boolean;
}

/** An answer that is sent many times, and all of it as it was sent last. A copy of it is not kept. */
export class KeptAnswer implements HttpAnswer {
  #beforeDate: string | undefined;
  #date: string | undefined;
  #sent: string | undefined;
  readonly isAscii: boolean;
  readonly status: number;
  readonly headers: readonly string[];
  readonly body?: string;
  #afterDate = "";

  constructor({ status, headers, body, isAscii = body === undefined }: HttpAnswer) {
    this.isAscii = isAscii;
    this.status = status;
    this.headers = headers;
    if (body !== undefined) this.body = body;
  }

  /** Keeps what stands around the date in the answer as it is sent. */
  keep(beforeDate: string, afterDate: string): void {
    this.#beforeDate = beforeDate;
    this.#afterDate = afterDate;
  }

  /** All of it with this date; undefined before it was kept. */
  at(date: string): string | undefined {
    if (this.#beforeDate !== undefined && this.#date !== date) {
      this.#date = date;
      this.#sent = this.#beforeDate + date + this.#afterDate;
    }
    return this.#sent;
  }
}

/** Answers may hold what a token is good for, so nobody keeps them unless a face says otherwise. */
export const NO_STORE = ["Cache-Control", "no-store"] as const;

/** An answer without a body. */
export function emptyAnswer(status: number, headers: readonly string[] = NO_STORE): HttpAnswer {
  return { status, headers: [...headers, "Content-Length", "0"] };
}

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown, headers: readonly string[] = NO_STORE): HttpAnswer {
  const body = JSON.stringify(value);
  const bytes = Buffer.byteLength(body);
  return {
    status,
    headers: ["Content-Type", "application/json", ...headers, "Content-Length", String(bytes)],
    body,
    isAscii: bytes === body.length,
  };
}

/** It cannot be said whether a token is good. Whoever asks should try again soon, or try another verifier. */
export const DONT_KNOW = new KeptAnswer(emptyAnswer(503, ["Retry-After", "1", ...NO_STORE]));

/** The client has shown too many tokens that are none (RFC 6585, 4). */
export const TOO_MANY_FAILURES = new KeptAnswer(emptyAnswer(429, ["Retry-After", "60", ...NO_STORE]));

/**
 * The headers of a token's rate limit: RateLimit header fields for HTTP, draft-ietf-httpapi-ratelimit-headers-11. `r` requests in `t`
 * seconds are never more than the limit's rate (section 6), so a client that keeps to them is not refused.
 */
export function describeRate({ limit, left, seconds }: RateStanding): readonly string[] {
  return [
    "RateLimit-Policy",
    `"token";q=${limit.requests};w=${limit.seconds}`,
    "RateLimit",
    `"token";r=${left};t=${seconds}`,
  ];
}

/** There is nothing at this path, or not for this method. */
export const NOT_FOUND = emptyAnswer(404);

/** An error of OAuth 2.0 (RFC 6749, 5.2), in plain ASCII. */
export function oauthError(
  status: number,
  error: string,
  description: string,
  headers: readonly string[] = [],
): HttpAnswer {
  return jsonAnswer(status, { error, error_description: description }, [...NO_STORE, ...headers]);
}

/** When a good answer ends, in ms since 1970: with the token's life or, if that is over, with its grace. */
export function endOf({ token, isInGrace }: Answer & { kind: "yes" }): number {
  return isInGrace ? token.acceptedUntilMs : token.liveUntilMs;
}

/** Percent-encodes what a header cannot hold: only visible ASCII and single spaces are left as they are. */
export function headerValue(text: string): string {
  return text.replaceAll(/[^!-~ ]|%/g, (character) => encodeURIComponent(character));
}
