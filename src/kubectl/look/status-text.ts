/*
 * `status NAME` for people: the verdict first, then the facts in the order in which they are asked for.
 */
import { formatTable } from "../../runtime/terminal.ts";
import { joinWords, wrap } from "../../runtime/text.ts";
import type { Page } from "../client/output.ts";
import { formatDistance, formatMoment } from "../client/times.ts";
import type { EventView } from "./events.ts";
import type { StatusView, Verdict } from "./status-view.ts";
import { drawTimeline } from "./timeline.ts";

const STYLES = {
  Ready: "green",
  Waiting: "yellow",
  Pending: "yellow",
  Deleting: "yellow",
  NotReady: "red",
} as const satisfies Readonly<Record<Verdict, string>>;

type Row = readonly [label: string, text: string | undefined];

const LABEL_WIDTH = 11;

/** The whole text. */
export function formatStatus(view: StatusView, now: Date, page: Page): string {
  const sections = [
    formatVerdict(view, now, page),
    formatRows(listFacts(view, now, page), page),
    formatPrevious(view, now, page),
    formatConditions(view, page),
    formatEvents(view.events, now, page),
    formatRows([["Next", view.next.join("\n")]], page),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

/** The verdict as a sentence. */
export function wordVerdict({ namespace, name, verdict, reason, secret }: StatusView): string {
  const object = `${namespace}/${name}`;
  switch (verdict) {
    case "Ready":
      return `${object} is Ready: the Secret ${secret.name} holds a token that works.`;
    case "Waiting":
      return `${object} is Ready, and something is waiting: ${reason}.`;
    case "NotReady":
      return `${object} is not Ready: ${reason}.`;
    case "Pending":
      return `${object} has no status: no controller has looked at it yet.`;
    case "Deleting":
      return `${object} is being deleted.`;
  }
}

function formatVerdict(view: StatusView, now: Date, { paint, width }: Page): string[] {
  const since = view.since === undefined ? "" : ` (for ${formatDistance(view.since, now).replace(" ago", "")})`;
  const lines = [paint(["bold", STYLES[view.verdict]], wordVerdict(view)) + (view.verdict === "Ready" ? "" : since)];
  // Of a Ready ApiToken the verdict has said it.
  if (view.message !== "" && view.verdict !== "Ready") lines.push(...wrap(`  ${view.message}`, width, "  "));
  if (view.verdict !== "Ready" && view.remedy !== undefined) {
    lines.push(...wrap(`  What to do: ${view.remedy}`, width, "  "));
  }
  return lines;
}

function listFacts(view: StatusView, now: Date, page: Page): Row[] {
  const { token, secret } = view;
  const moment = (time: string | undefined) => (time === undefined ? undefined : formatMoment(time, now));
  return [
    ["Owner", view.requestedBy === undefined ? view.owner : `${view.owner} (requested by ${view.requestedBy})`],
    ["For", view.description],
    ["Scopes", view.scopes.length === 0 ? "none" : view.scopes.join(" ")],
    ["Token", token && `${token.tokenId}, revision ${token.revision}${isRevoked(view) ? ", revoked" : ""}`],
    ["Last used", token && (moment(token.lastUsedAt) ?? "no use has been reported")],
    ["Policy", view.policy],
    ["Secret", `${secret.name}, ${secret.keys.length === 1 ? "key" : "keys"} ${joinWords(secret.keys, "and")}`],
    ["Issued", moment(token?.issuedAt)],
    ["Renews", moment(token?.renewAt)],
    ["Expires", isRevoked(view) ? undefined : moment(token?.expiresAt)],
    ["", formatTimeline(view, now, page)],
    ["Requested", view.rotationRequestedAt && `a rotation, which has not been carried out yet`],
  ];
}

/** Whether the token has been ended: then it is of no interest when it would have expired. */
function isRevoked({ conditions }: StatusView): boolean {
  return conditions.some(({ type, status }) => type === "Revoked" && status === "True");
}

function formatTimeline(view: StatusView, now: Date, { width }: Page): string | undefined {
  const { token } = view;
  if (token?.issuedAt === undefined || token.expiresAt === undefined || isRevoked(view)) return undefined;
  const { issuedAt, renewAt, expiresAt } = token;
  return drawTimeline({ issuedAt, renewAt, expiresAt }, now, Math.min(60, width - LABEL_WIDTH));
}

function formatPrevious({ previous, token }: StatusView, now: Date, page: Page): string[] {
  if (previous === undefined) return [];
  const { tokenId, validUntil, lastUsedAt, isStillUsed } = previous;
  const use = isStillUsed
    ? page.paint(
        "yellow",
        `still used: ${formatDistance(lastUsedAt ?? "", now)}. Its consumers must read the Secret again`,
      )
    : lastUsedAt === undefined
      ? "no use of it has been reported"
      : `not used since token ${token?.tokenId} was issued (last: ${formatDistance(lastUsedAt, now)})`;
  return formatRows([["Previous", `${tokenId}, works until ${formatMoment(validUntil, now)}\n${use}`]], page);
}

/** The other conditions that are true, unless they repeat what the verdict says. */
function formatConditions({ conditions, message: verdict }: StatusView, page: Page): string[] {
  const rows = conditions
    .filter(({ status, message }) => status === "True" && (message !== verdict || message === ""))
    .map(({ type, reason, message }): Row => [type, message === "" ? reason : message]);
  return formatRows(rows, page);
}

function formatEvents(events: readonly EventView[] | undefined, now: Date, { paint, width }: Page): string[] {
  if (events === undefined) return ["Events: you may not list them in this namespace"];
  if (events.length === 0) return [];
  const columns = [{ title: "EVENT" }, { title: "WHEN" }, { title: "MESSAGE", maxWidth: Math.max(40, width - 40) }];
  const rows = events.map(({ type, reason, at, message, count }) => [
    type === "Warning" ? { text: reason, style: "yellow" as const } : reason,
    `${formatDistance(at, now)}${count > 1 ? ` (${count}×)` : ""}`,
    message,
  ]);
  return formatTable({ columns, rows }, paint);
}

/** Labels on the left, texts beside them, wrapped. Rows without a text are left out. */
export function formatRows(rows: readonly Row[], { paint, width }: Page): string[] {
  const shown = rows.filter(([, text]) => text !== undefined && text !== "");
  const column = Math.max(LABEL_WIDTH, ...shown.map(([label]) => label.length + 2));
  const indent = " ".repeat(column);
  return shown.flatMap(([label, text = ""]) => {
    const lines = text.split("\n").flatMap((line) => wrap(line, Math.max(30, width - column)));
    return lines.map((line, index) => (index === 0 ? paint("dim", label.padEnd(column)) : indent) + line);
  });
}
