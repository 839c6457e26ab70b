/*
 * The e2e's caller, bundled and run in a pod: asks the verifier as a gateway does, many times a second, about a token that must
 * always be good, and about one that somebody revokes meanwhile. It prints one line of JSON per second.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What has been answered about one token. */
export interface TokenReport {
  readonly good: number;
  /** After a hundred refusals in a minute the verifier only asks to wait (429), but never for a good token. */
  readonly refused: number;
  /** Nobody answered, or the verifier could not say: neither is a wrong answer. */
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
  /** Good answers about a token that had been refused before: nothing revives a token. */
  readonly revived: number;
  readonly slowestMs: number;
  /** The last answer that was none. */
  readonly fault?: string;
}

const PER_SECOND = Number(process.env.REQUESTS_PER_SECOND ?? 50);
const { VERIFIER_URL = "", LASTING_FILE = "", DOOMED_FILE = "" } = process.env;

/** Longer than a verifier ever takes; a gateway that gets no connection asks once more. */
const PATIENCE_MS = 2_000;
const TRIES = 2;

/** One pod may hear of a revocation this much later than another. */
const HEARS_WITHIN_MS = 1_000;

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
  revived: 0,
  slowestMs: 0,
  fault: undefined as string | undefined,
};

async function verify(file: string, triesLeft = TRIES): Promise<Response> {
  const headers = { authorization: `Bearer ${readFileSync(file, "utf8")}` };
  try {
    return await fetch(`${VERIFIER_URL}/verify`, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    if (triesLeft <= 1) throw error;
    return verify(file, triesLeft - 1);
  }
}

async function ask(file: string, report: ReturnType<typeof nothing>): Promise<void> {
  const askedAtMs = Date.now();
  try {
    const { status, headers } = await verify(file);
    if (status === 200) {
      const id = headers.get("x-auth-token-id") ?? "";
      if (!report.ids.includes(id)) report.ids.push(id);
      report.good += 1;
      report.lastGoodMs = Math.max(report.lastGoodMs, askedAtMs);
      if (report.firstRefusedMs !== 0 && askedAtMs > report.firstRefusedMs + HEARS_WITHIN_MS) seen.revived += 1;
    } else if (status === 401 || status === 429) {
      report.refused += 1;
      if (report.firstRefusedMs === 0 || askedAtMs < report.firstRefusedMs) report.firstRefusedMs = askedAtMs;
    } else throw new Error(`the verifier answered ${status}`);
  } catch (error) {
    report.unanswered += 1;
    const { message, cause } = error as Error;
    seen.fault = `${new Date().toISOString()} ${message} ${cause instanceof Error ? cause.message : ""}`.trimEnd();
  }
  seen.slowestMs = Math.max(seen.slowestMs, Date.now() - askedAtMs);
}

process.on("SIGTERM", () => process.exit(0));
const beganAtMs = performance.now();
for (let tick = 0; ; tick += 1) {
  void ask(LASTING_FILE, seen.lasting);
  void ask(DOOMED_FILE, seen.doomed);
  if (tick % PER_SECOND === 0) process.stdout.write(`${JSON.stringify(seen)}\n`);
  await delay(Math.max(0, beganAtMs + ((tick + 1) * 1_000) / PER_SECOND - performance.now()));
}
