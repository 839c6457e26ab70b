/*
 * `status` without a name, for people.
 */
import { formatTable } from "../../runtime/terminal.ts";
import { count, formatCount } from "../../runtime/text.ts";
import type { Page } from "../client/output.ts";
import { formatAge } from "../client/times.ts";
import { formatRows } from "./status-text.ts";
import type { Concerns, Summary } from "./summary.ts";

/** How many of each kind are listed; `list` has all of them. */
export const LISTED = 20;

export function formatSummary(summary: Summary, now: Date, page: Page): string {
  const { namespace, notReady, ending, previousUsed } = summary;
  const scope = namespace === undefined ? "-A" : `-n ${namespace}`;
  const isWide = namespace === undefined;
  const list = (title: string, concerns: Concerns, all: string) =>
    formatConcerns({ title, concerns, all: `${all} ${scope}`, isWide }, now, page);
  const sections = [
    [formatVerdict(summary, page)],
    list("Not Ready", notReady, "kubectl apitoken list --not-ready"),
    list("Ending within 7 days, and not renewed", ending, "kubectl apitoken list --expiring 7d"),
    list("The previous token is still used", previousUsed, "kubectl apitoken list"),
    formatRows([["Next", adviseNext(summary)]], page),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function formatVerdict({ namespace, total, ready }: Summary, { paint }: Page): string {
  const place = namespace === undefined ? "in the cluster" : `in the namespace ${namespace}`;
  if (total === 0) return `There are no ApiTokens ${place}.`;
  const style = ready === total ? "green" : "red";
  const verdict =
    ready === total
      ? total === 1
        ? `The only ApiToken ${place} is Ready.`
        : `All ${count(total, "ApiToken")} ${place} are Ready.`
      : `${formatCount(total - ready)} of ${count(total, "ApiToken")} ${place} ${total - ready === 1 ? "is" : "are"} not Ready.`;
  return paint(["bold", style], verdict);
}

interface ConcernList {
  readonly title: string;
  readonly concerns: Concerns;
  /** The command that lists all of them. */
  readonly all: string;
  readonly isWide: boolean;
}

function formatConcerns({ title, concerns, all, isWide }: ConcernList, now: Date, { paint, width }: Page): string[] {
  if (concerns.count === 0) return [];
  const columns = [
    ...(isWide ? [{ title: "NAMESPACE" }] : []),
    ...[{ title: "NAME" }, { title: "REASON" }, { title: "FOR" }],
    { title: "MESSAGE", maxWidth: Math.max(40, width - (isWide ? 60 : 45)) },
  ];
  const rows = concerns.described
    .slice(0, LISTED)
    .map(({ namespace, name, reason, message, since }) => [
      ...(isWide ? [namespace] : []),
      ...[name, reason, formatAge(since, now), message],
    ]);
  const rest = concerns.count - rows.length;
  return [
    paint("bold", `${title} (${formatCount(concerns.count)})`),
    ...formatTable({ columns, rows }, paint),
    ...(rest > 0 ? [`and ${formatCount(rest)} more: ${all}`] : []),
  ];
}

function adviseNext({ total, namespace, notReady }: Summary): string {
  const [first] = notReady.described;
  if (first !== undefined) return `kubectl apitoken status ${first.name} -n ${first.namespace}`;
  if (total > 0) return "";
  return namespace === undefined ? "kubectl apitoken check" : `kubectl apitoken create NAME -n ${namespace}`;
}
