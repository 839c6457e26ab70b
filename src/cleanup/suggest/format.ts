/*
 * What `cleanup suggest` prints: a configuration file with the reasons as comments. What is not ready is commented out.
 */
import { stringify } from "yaml";
import { stripControls } from "../../runtime/text.ts";
import type { RawTarget } from "./rules.ts";

/** A target to be used as it is, or what is missing for that. */
export interface Suggestion {
  /** The tables that it is about. */
  readonly tables: readonly string[];
  readonly target: RawTarget;
  readonly reasons: readonly string[];
  readonly checks: readonly string[];
  /** Why it is commented out; empty if it is not. */
  readonly doubts: readonly string[];
}

/** What the catalog looks like. `--output json` prints exactly this object. */
export interface Suggestions {
  readonly suggestions: readonly Suggestion[];
  /** Tables with an expiry that look like something else, as "app.coupons (valid_until)". */
  readonly others: readonly string[];
  /** Tables that there was no time for. */
  readonly notLookedAt: readonly string[];
}

const MOST_OTHERS = 20;

const INTRODUCTION = [
  'Proposed by "cleanup suggest" from names, types and a few values. Nothing was written.',
  'Look at every line with CHECK. Then run "cleanup validate --config FILE": it counts, and shows rows to look up.',
];

const NOTHING_FOUND = [
  "No table that the role or the login may read looks like tokens or sessions.",
  "To look at tables without grants, let DATABASE_URL name a login that may read them and is a member of apitoken_cleanup, or a superuser.",
];

/** The text: YAML that the other commands take as their configuration. */
export function formatSuggestions({ suggestions, others, notLookedAt }: Suggestions): string {
  const ready = suggestions.filter(({ doubts }) => doubts.length === 0);
  const doubtful = suggestions.filter(({ doubts }) => doubts.length > 0);
  const lines = [
    ...INTRODUCTION.map(comment),
    ...(suggestions.length === 0 ? NOTHING_FOUND.map(comment) : []),
    ready.length === 0 ? "targets: []" : "targets:",
    ...ready.flatMap((suggestion) => ["", ...formatNotes(suggestion), ...formatTarget(suggestion.target)].map(indent)),
    ...(doubtful.length === 0 ? [] : ["", "  # Not ready: settle what is said, then remove the comment signs."]),
    ...doubtful.flatMap((suggestion) => [
      "",
      ...[...formatNotes(suggestion), ...formatTarget(suggestion.target).map((line) => `# ${line}`)].map(indent),
    ]),
    ...formatList("Have an expiry, and do not look like tokens or sessions", others),
    ...formatList("There was no time to look at", notLookedAt),
  ];
  return `${lines.join("\n")}\n`;
}

const comment = (text: string) => `# ${stripControls(text)}`;

const indent = (line: string) => (line === "" ? "" : `  ${line}`);

function formatNotes({ tables, reasons, checks, doubts }: Suggestion): string[] {
  return [
    `${tables.join(", ")}: ${doubts.length === 0 ? "proposed" : "not ready"}`,
    ...doubts.map((doubt) => `NOT READY: ${doubt}`),
    ...reasons.map((reason) => `because ${reason}`),
    ...checks.map((check) => `CHECK ${check}`),
  ].map(comment);
}

function formatTarget(target: RawTarget): string[] {
  return stringify([target], { lineWidth: 0 }).trimEnd().split("\n");
}

function formatList(title: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const rest = names.length > MOST_OTHERS ? `, and ${names.length - MOST_OTHERS} more` : "";
  return ["", comment(`${title}: ${names.slice(0, MOST_OTHERS).join(", ")}${rest}`)];
}
