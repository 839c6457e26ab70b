/*
 * What `check` finds, and how the parts of the operator are judged. Every judgement is made here, from what was read.
 */

export const CATEGORIES = ["crds", "policies", "controller", "verifier", "cleanup", "database", "tokens"] as const;

export type Category = (typeof CATEGORIES)[number] | "cluster" | "rights";

/** ok needs nobody, warning somebody some day, failure somebody now. */
export type Level = "ok" | "warning" | "failure";

/** A line of `check`; the fields of `-o json`, which docs/kubectl.md describes. */
export interface Finding {
  readonly category: Category;
  readonly level: Level;
  readonly text: string;
  /** What to read, relative to the project. */
  readonly see?: string;
}

/** Makes findings of one category. */
export function findingsOf(category: Category) {
  const make =
    (level: Level) =>
    (text: string, see?: string): Finding => ({
      category,
      level,
      text,
      ...(see === undefined ? {} : { see }),
    });
  return { ok: make("ok"), warn: make("warning"), fail: make("failure") };
}
