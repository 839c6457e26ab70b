/*
 * Asks the database about tokens. However many requests ask at once, there are few statements: those for the same token share
 * one answer, and tokens that are asked for together go into one statement. Nobody waits for longer than a gateway would.
 */
import type { Queryable } from "../../postgres/database.ts";
import { findTokens } from "../../postgres/verification.ts";
import type { VerifierClock } from "../clock.ts";
import type { KnownToken } from "./known-token.ts";
import type { TokenMemory } from "./memory.ts";

/** What the database says of a token, or why it says nothing. */
export type Finding =
  /** `token` is undefined if there is no row; `blockedFromMs` is when the block on its owner begins: Infinity without one. */
  | { readonly kind: "found"; readonly token: KnownToken | undefined; readonly blockedFromMs: number }
  | { readonly kind: "unavailable"; readonly why: "DatabaseUnavailable" | "Overloaded" };

export interface FinderOptions {
  readonly db: Queryable;
  readonly memory: TokenMemory;
  readonly clock: VerifierClock;
  /** How long anybody waits for an answer. */
  readonly patienceMs: number;
  readonly onStatement: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** Finds tokens in the database. */
export interface Finder {
  find(id: string): Promise<Finding>;
  /** Whether the database has failed to answer lately, so that waiting for it is hardly worth while. */
  readonly isAway: boolean;
}

const STATEMENTS_AT_ONCE = 4;
const IDS_PER_STATEMENT = 500;

/** What waits beyond this would not be answered in time. */
const MOST_WAITING = 10_000;

/** For this long after a failure nobody who could do without an answer asks. */
const AWAY_MS = 500;

interface Question {
  readonly answer: Promise<Finding>;
  resolve(finding: Finding): void;
}

/** Creates a finder that keeps what it reads in the memory. */
export function createFinder({ db, memory, clock, patienceMs, onStatement, onFailure }: FinderOptions): Finder {
  let waiting = new Map<string, Question>();
  let running = 0;
  let awayUntilMs = Number.NEGATIVE_INFINITY;

  const fail = (): Finding => {
    awayUntilMs = performance.now() + AWAY_MS;
    return { kind: "unavailable", why: "DatabaseUnavailable" };
  };
  const ask = async (questions: ReadonlyMap<string, Question>) => {
    const reading = memory.beginReading();
    const askedAtMs = performance.now();
    onStatement();
    try {
      const { now, items } = await findTokens(db, [...questions.keys()]);
      clock.set(now, askedAtMs, performance.now());
      awayUntilMs = Number.NEGATIVE_INFINITY;
      const found = new Map(items.map((item) => [item.token.id, item]));
      for (const [id, { resolve }] of questions) {
        const item = found.get(id);
        if (item === undefined) reading.forget(id);
        const token = item && reading.keep(item.token, now.getTime());
        resolve({ kind: "found", token, blockedFromMs: item?.blockedFrom?.getTime() ?? Number.POSITIVE_INFINITY });
      }
    } catch (error) {
      onFailure(error);
      const finding = fail();
      for (const { resolve } of questions.values()) resolve(finding);
    } finally {
      reading.end();
    }
  };
  const run = () => {
    while (running < STATEMENTS_AT_ONCE && waiting.size > 0) {
      const all = [...waiting];
      const questions = new Map(all.slice(0, IDS_PER_STATEMENT));
      waiting = new Map(all.slice(IDS_PER_STATEMENT));
      running += 1;
      void ask(questions).finally(() => {
        running -= 1;
        run();
      });
    }
  };
  const askFor = (id: string): Question => {
    const { promise, resolve } = Promise.withResolvers<Finding>();
    const question = { answer: promise, resolve };
    waiting.set(id, question);
    // Requests that arrive in the same turn of the event loop go into one statement.
    if (waiting.size === 1) setImmediate(run);
    return question;
  };

  return {
    async find(id) {
      const question = waiting.get(id);
      if (question === undefined && waiting.size >= MOST_WAITING) return { kind: "unavailable", why: "Overloaded" };
      const { answer } = question ?? askFor(id);
      return withPatience(answer, patienceMs, fail);
    },
    get isAway() {
      return performance.now() < awayUntilMs;
    },
  };
}

function withPatience(answer: Promise<Finding>, patienceMs: number, giveUp: () => Finding): Promise<Finding> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(giveUp()), patienceMs);
    void answer.then((finding) => {
      clearTimeout(timer);
      resolve(finding);
    });
  });
}
