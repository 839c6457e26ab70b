/*
 * The e2e's caller, bundled and run in a pod: asks an application behind a gateway many times a second, with a token that must always
 * be good, and with one that somebody revokes meanwhile; and once a second with what must never reach the application. Every request
 * has forged headers. It prints one line of JSON per second.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type AppAnswer, FORGED_HEADERS, findFault, type ShownToken } from "./app-answer.ts";

/** What has come of one token. */
export interface TokenReport {
  /** Answers of the application. */
  readonly good: number;
  /** After a hundred refusals in a minute the verifier only asks to wait (429), but never for a good token. */
  readonly refused: number;
  /** Nobody answered, or the gateway could not say: neither is a wrong answer. */
  readonly unanswered: number;
  /** The ids of the tokens that were good, in order. */
  readonly ids: readonly string[];
  /** When the last good answer, and the first refusal, was asked for: ms since 1970. */
  readonly lastGoodMs: number;
  readonly firstRefusedMs: number;
}

/** What the caller has seen since its start. */
export interface CallerReport {
  /** The token that is never revoked. */
  readonly lasting: TokenReport;
  readonly doomed: TokenReport;
  /** Requests without a token, with a made-up one, and with one that lacks the scope. */
  readonly strangers: { readonly refused: number; readonly passed: number };
  /** Requests that reached the application with another identity than the token's. */
  readonly mistaken: number;
  /** Good answers about a token that had been refused before: nothing revives a token. */
  readonly revived: number;
  readonly slowestMs: number;
  /** The last answer that was none, or was wrong. */
  readonly fault?: string;
}

const PER_SECOND = Number(process.env.REQUESTS_PER_SECOND ?? 50);
const { GATEWAY_URL = "", NAMESPACE = "" } = process.env;

/** Longer than a gateway ever takes. */
const PATIENCE_MS = 5_000;

/** One pod may hear of a revocation this much later than another. */
const HEARS_WITHIN_MS = 1_000;

/** The gateway's route for every good token, and the one that needs the scope orders:read. */
const ANY_TOKEN = "/profile";
const ORDERS = "/orders";

interface Token extends ShownToken {
  readonly path: string;
  readonly file: string;
}
const lasting: Token = { namespace: NAMESPACE, name: "hello", scopes: "", path: ANY_TOKEN, file: "/lasting/token" };
const doomed: Token = {
  namespace: NAMESPACE,
  name: "doomed",
  scopes: "orders:read",
  path: ORDERS,
  file: "/doomed/token",
};

const nothing = () => ({
  good: 0,
  refused: 0,
  unanswered: 0,
  ids: [] as string[],
  lastGoodMs: 0,
  firstRefusedMs: 0,
});
const seen = {
  lasting: nothing(),
  doomed: nothing(),
  strangers: { refused: 0, passed: 0 },
  mistaken: 0,
  revived: 0,
  slowestMs: 0,
  fault: undefined as string | undefined,
};

const read = ({ file }: Token) => readFileSync(file, "utf8");

const isRefusal = (status: number) => [401, 403, 429].includes(status);

function send(path: string, token: string | undefined): Promise<Response> {
  const credentials = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const headers = { ...FORGED_HEADERS, ...credentials };
  return fetch(`${GATEWAY_URL}${path}`, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
}

function note(what: string): void {
  seen.fault = `${new Date().toISOString()} ${what}`;
}

async function ask(token: Token, report: ReturnType<typeof nothing>): Promise<void> {
  const askedAtMs = Date.now();
  try {
    const response = await send(token.path, read(token));
    const body = await response.text();
    if (response.status === 200) noteGood(token, JSON.parse(body) as AppAnswer, report, askedAtMs);
    else if (isRefusal(response.status)) {
      report.refused += 1;
      if (report.firstRefusedMs === 0 || askedAtMs < report.firstRefusedMs) report.firstRefusedMs = askedAtMs;
    } else throw new Error(`the gateway answered ${response.status}`);
  } catch (error) {
    report.unanswered += 1;
    const { message, cause } = error as Error;
    note(`${message} ${cause instanceof Error ? cause.message : ""}`.trimEnd());
  }
  seen.slowestMs = Math.max(seen.slowestMs, Date.now() - askedAtMs);
}

function noteGood(token: Token, answer: AppAnswer, report: ReturnType<typeof nothing>, askedAtMs: number): void {
  const fault = findFault(answer, token);
  if (fault !== undefined) {
    seen.mistaken += 1;
    note(fault);
  }
  const [, id = ""] = answer.identity.find(([name]) => name === "x-auth-token-id") ?? [];
  if (!report.ids.includes(id)) report.ids.push(id);
  report.good += 1;
  report.lastGoodMs = Math.max(report.lastGoodMs, askedAtMs);
  if (report.firstRefusedMs !== 0 && askedAtMs > report.firstRefusedMs + HEARS_WITHIN_MS) seen.revived += 1;
}

/** Sends what must never reach the application. */
async function intrude(path: string, token: string | undefined): Promise<void> {
  try {
    const response = await send(path, token);
    await response.text();
    if (response.ok) seen.strangers.passed += 1;
    else if (isRefusal(response.status)) seen.strangers.refused += 1;
  } catch {
    // No answer is not an intrusion; the requests with good tokens show it.
  }
}

process.on("SIGTERM", () => process.exit(0));
const beganAtMs = performance.now();
for (let tick = 0; ; tick += 1) {
  void ask(lasting, seen.lasting);
  void ask(doomed, seen.doomed);
  if (tick % PER_SECOND === 0) {
    void intrude(ANY_TOKEN, undefined);
    void intrude(ANY_TOKEN, "made-up");
    void intrude(ORDERS, read(lasting));
    process.stdout.write(`${JSON.stringify(seen)}\n`);
  }
  await delay(Math.max(0, beganAtMs + ((tick + 1) * 1_000) / PER_SECOND - performance.now()));
}
