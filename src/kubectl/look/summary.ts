/*
 * What `status` without a name says: how many ApiTokens are Ready, and which of them need somebody. Most of them are as they should
 * be, so all are counted in the API server's table, and only those that need somebody are read as a whole.
 */
import { type ApiTokenView, conditionOf, isReady, reasonOf } from "../client/api-token.ts";
import { type Census, readSketches, type Sketch, takeCensus } from "../client/census.ts";
import type { Client } from "../client/client.ts";
import { readTokens } from "../client/tokens.ts";
import { isEnding } from "./filter.ts";
import { isStillUsed } from "./status-view.ts";

/** An ApiToken that needs somebody, and why. */
export interface Concern {
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly reason: string;
  readonly message: string;
  readonly since: string | undefined;
}

/** ApiTokens that need somebody: how many there are, and those that are described. */
export interface Concerns {
  readonly count: number;
  readonly described: readonly Concern[];
}

export interface Summary extends Census {
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined;
  readonly notReady: Concerns;
  /** Ready, and their token ends within seven days without a next one. */
  readonly ending: Concerns;
  /** The previous token has been used since the rotation. */
  readonly previousUsed: Concerns;
}

/** What a summary is made of. */
export interface SummaryFacts {
  /** All ApiTokens. */
  readonly sketches: readonly Sketch[];
  /** Those that are described. */
  readonly described: readonly ApiTokenView[];
  /** Those that have a previous token. */
  readonly rotated: readonly ApiTokenView[];
}

const ENDING_MS = 7 * 86_400_000;

/** From this many on, one list of everything is less work for the API server than a look at each. */
const MANY = 100;

/** The summary of a namespace, or of all. At most `limit` ApiTokens that need somebody for the same reason are described. */
export async function readSummary(
  client: Client,
  namespace: string | undefined,
  now: Date,
  limit: number,
): Promise<Summary> {
  const [sketches, { tokens: rotated }] = await Promise.all([
    readSketches(client, namespace),
    readTokens(client, { namespace, hasPrevious: true }),
  ]);
  const { notReady, ending } = findConcerns(sketches, now);
  const names = new Set([...notReady.slice(0, limit), ...ending.slice(0, limit)].map(({ name }) => name));
  const described = await readNamed(client, namespace, names);
  const summary = summarize({ sketches, described, rotated }, namespace, now);
  return mapConcerns(summary, ({ count, described }) => ({ count, described: described.slice(0, limit) }));
}

/** The ApiTokens with these names. The table names no namespaces, so there may be more of them than names. */
async function readNamed(client: Client, namespace: string | undefined, names: ReadonlySet<string>) {
  if (names.size > MANY) return (await readTokens(client, { namespace })).tokens;
  const lists = await Promise.all([...names].map((name) => readTokens(client, { namespace, name })));
  return lists.flatMap(({ tokens }) => tokens);
}

function findConcerns(sketches: readonly Sketch[], now: Date) {
  return {
    notReady: sketches.filter((sketch) => !sketch.isReady),
    ending: sketches.filter((sketch) => sketch.isReady && isEnding(sketch, ENDING_MS, now)),
  };
}

export function summarize(facts: SummaryFacts, namespace: string | undefined, now: Date): Summary {
  const { sketches, described, rotated } = facts;
  const { notReady, ending } = findConcerns(sketches, now);
  const sorted = described.toSorted(
    (left, right) => compare(left.namespace, right.namespace) || compare(left.name, right.name),
  );
  const stillUsed = rotated
    .filter((token) => isReady(token) && isStillUsed(token))
    .map((token) => toConcern(token, "Ready"));
  return {
    namespace,
    ...takeCensus(sketches),
    notReady: {
      count: notReady.length,
      described: sorted.filter((token) => !isReady(token)).map((token) => toConcern(token, "Ready")),
    },
    ending: {
      count: ending.length,
      described: sorted
        .filter((token) => isReady(token) && isEnding(token, ENDING_MS, now))
        .map((token) => toConcern(token, "ExpiringSoon")),
    },
    previousUsed: { count: stillUsed.length, described: stillUsed },
  };
}

/** The summary of ApiTokens that have been read as a whole. */
export function summarizeAll(tokens: readonly ApiTokenView[], namespace: string | undefined, now: Date): Summary {
  const sketches = tokens.map((token) => ({ ...token, isReady: isReady(token), reason: reasonOf(token) }));
  return summarize({ sketches, described: tokens, rotated: tokens }, namespace, now);
}

/** The fields of `status -o json`, which docs/kubectl.md describes. */
export function toSummaryObject(summary: Summary) {
  return mapConcerns(summary, ({ described }) => described);
}

function mapConcerns<T>(summary: Summary, map: (concerns: Concerns) => T) {
  const { notReady, ending, previousUsed } = summary;
  return { ...summary, notReady: map(notReady), ending: map(ending), previousUsed: map(previousUsed) };
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function toConcern(token: ApiTokenView, type: string): Concern {
  const { namespace, name, owner } = token;
  const condition = conditionOf(token, type);
  const message = condition?.message ?? (token.expiresAt === undefined ? "" : `expires at ${token.expiresAt}`);
  return { namespace, name, owner, reason: condition?.reason ?? reasonOf(token), message, since: condition?.since };
}
