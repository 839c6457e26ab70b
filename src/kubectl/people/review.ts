/*
 * `review`: the list that somebody has to go through every quarter, as CSV for a spreadsheet.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { type ApiTokenView, isReady, reasonOf } from "../client/api-token.ts";
import { withClient } from "../client/client.ts";
import type { ScopeOptions } from "../client/options.ts";
import { print, printObject } from "../client/output.ts";
import { readTokens } from "../client/tokens.ts";
import { toItem } from "../look/list-text.ts";

export type ReviewOptions = ScopeOptions & { readonly output: "csv" | "json" | "yaml" };

/** `kubectl apitoken review`; returns its exit code. */
export function runReview(context: CommandContext<ReviewOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { output, "all-namespaces": isEverywhere } = context.options;
    const { tokens } = await readTokens(client, { namespace: isEverywhere ? undefined : client.namespace });
    const sorted = [...tokens].sort((left, right) => keyOf(left).localeCompare(keyOf(right)));
    if (output === "csv") print(formatReview(sorted));
    else await printObject({ items: sorted.map(toItem) }, output);
    return EXIT.done;
  });
}

const keyOf = ({ owner, namespace, name }: ApiTokenView) => `${owner} ${namespace} ${name}`;

const COLUMNS: readonly (readonly [title: string, read: (token: ApiTokenView) => string | undefined])[] = [
  ["owner", ({ owner }) => owner],
  ["namespace", ({ namespace }) => namespace],
  ["name", ({ name }) => name],
  ["description", ({ description }) => description],
  ["requested by", ({ requestedBy }) => requestedBy],
  ["scopes", ({ scopes }) => scopes.join(" ")],
  ["ready", (token) => String(isReady(token))],
  ["reason", reasonOf],
  ["created", ({ createdAt }) => createdAt],
  ["issued", ({ issuedAt }) => issuedAt],
  ["expires", ({ expiresAt }) => expiresAt],
  ["renews", ({ renewAt }) => renewAt],
  ["last used", ({ lastUsedAt }) => lastUsedAt],
  ["token id", ({ tokenId }) => tokenId],
  ["policy", ({ policy }) => policy],
];

/** CSV (RFC 4180), by owner. */
export function formatReview(tokens: readonly ApiTokenView[]): string {
  const rows = tokens.map((token) => COLUMNS.map(([, read]) => toField(read(token) ?? "")).join(","));
  return `${[COLUMNS.map(([title]) => title).join(","), ...rows].join("\r\n")}\r\n`;
}

/** A spreadsheet would run a text that begins like a formula, and users choose these texts. */
function toField(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
