/*
 * What `status` without a name says: how many ApiTokens are Ready, and which of them need somebody.
 */
import { type ApiTokenView, conditionOf, isReady, reasonOf } from "../client/api-token.ts";
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

/** The fields of `status -o json`, which docs/kubectl.md describes. */
export interface Summary {
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined;
  readonly total: number;
  readonly ready: number;
  /** How many ApiTokens have each reason of Ready. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly notReady: readonly Concern[];
  /** Ready, and their token ends within seven days without a next one. */
  readonly ending: readonly Concern[];
  /** The previous token has been used since the rotation. */
  readonly previousUsed: readonly Concern[];
}

const ENDING_MS = 7 * 86_400_000;

export async function readSummary(client: Client, namespace: string | undefined, now: Date): Promise<Summary> {
  const { tokens } = await readTokens(client, { namespace });
  return summarize(tokens, namespace, now);
}

export function summarize(tokens: readonly ApiTokenView[], namespace: string | undefined, now: Date): Summary {
  const reasons = new Map<string, number>();
  for (const token of tokens) reasons.set(reasonOf(token), (reasons.get(reasonOf(token)) ?? 0) + 1);
  const ready = tokens.filter(isReady);
  return {
    namespace,
    total: tokens.length,
    ready: ready.length,
    reasons: Object.fromEntries([...reasons].sort(([, left], [, right]) => right - left)),
    notReady: tokens.filter((token) => !isReady(token)).map((token) => toConcern(token, "Ready")),
    ending: ready.filter((token) => isEnding(token, ENDING_MS, now)).map((token) => toConcern(token, "ExpiringSoon")),
    previousUsed: ready.filter(isStillUsed).map((token) => toConcern(token, "Ready")),
  };
}

function toConcern(token: ApiTokenView, type: string): Concern {
  const { namespace, name, owner } = token;
  const condition = conditionOf(token, type);
  const message = condition?.message ?? (token.expiresAt === undefined ? "" : `expires at ${token.expiresAt}`);
  return { namespace, name, owner, reason: condition?.reason ?? reasonOf(token), message, since: condition?.since };
}
