/*
 * The rows of `list`: for people as a table, for programs as objects with stable names.
 */
import { type Column, formatTable, type Paint } from "../../runtime/terminal.ts";
import { type ApiTokenView, conditionOf, isReady, reasonOf } from "../client/api-token.ts";
import { formatAge, formatDistance } from "../client/times.ts";

/** An item of `list -o json`, which docs/kubectl.md describes. */
export function toItem(token: ApiTokenView) {
  const { namespace, name, owner, requestedBy, scopes, tokenId, revision, policy } = token;
  const { issuedAt, expiresAt, renewAt, lastUsedAt, createdAt, secretName, previous } = token;
  const message = conditionOf(token, "Ready")?.message ?? "";
  return {
    ...{ namespace, name, owner, requestedBy, scopes, ready: isReady(token), reason: reasonOf(token), message },
    ...{ tokenId, revision, issuedAt, expiresAt, renewAt, lastUsedAt, previous, policy, secretName, createdAt },
  };
}

export interface Layout {
  readonly hasNamespaces: boolean;
  readonly isWide: boolean;
}

const WIDE_TITLES = ["AGE", "TOKEN ID", "SECRET", "POLICY", "SCOPES"];

function titlesOf({ hasNamespaces, isWide }: Layout): string[] {
  return [
    ...(hasNamespaces ? ["NAMESPACE"] : []),
    ...["NAME", "READY", "OWNER", "REASON", "EXPIRES", "RENEWS", "LAST USED"],
    ...(isWide ? WIDE_TITLES : []),
  ];
}

function cellsOf(token: ApiTokenView, { hasNamespaces, isWide }: Layout, now: Date) {
  const distance = (time: string | undefined) => (time === undefined ? "" : formatDistance(time, now));
  const ready = conditionOf(token, "Ready")?.status ?? "";
  return [
    ...(hasNamespaces ? [token.namespace] : []),
    token.name,
    { text: ready, style: ready === "True" ? ("green" as const) : ("red" as const) },
    ...[token.owner, reasonOf(token), distance(token.expiresAt), distance(token.renewAt), distance(token.lastUsedAt)],
    ...(isWide ? [formatAge(token.createdAt, now), token.tokenId ?? "", token.secretName, token.policy ?? ""] : []),
    ...(isWide ? [token.scopes.join(" ")] : []),
  ];
}

/** A table with a row for each. */
export function formatList(tokens: readonly ApiTokenView[], layout: Layout, now: Date, paint: Paint): string[] {
  const columns = titlesOf(layout).map((title) => ({ title }));
  return formatTable({ columns, rows: tokens.map((token) => cellsOf(token, layout, now)) }, paint);
}

/** Formats rows that come one after another: as wide as those that were there at first. */
export function createRowFormat(first: readonly ApiTokenView[], layout: Layout, now: Date, paint: Paint) {
  const titles = titlesOf(layout);
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...first.map((token) => textOf(cellsOf(token, layout, now)[index] ?? "").length)),
  );
  const columns: Column[] = titles.map((title, index) => ({ title, minWidth: widths[index] ?? 0 }));
  return (token: ApiTokenView, at: Date): string =>
    formatTable({ columns, rows: [cellsOf(token, layout, at)] }, paint)
      .slice(1)
      .join("\n");
}

function textOf(cell: ReturnType<typeof cellsOf>[number]): string {
  return typeof cell === "string" ? cell : cell.text;
}
