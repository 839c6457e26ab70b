/*
 * `owner`: everything of one owner over all namespaces, and whether somebody has blocked them.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { count } from "../../runtime/text.ts";
import { withClient } from "../client/client.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { findPage, note, type Page, print, printObject } from "../client/output.ts";
import type { OwnerBlockView } from "../client/owner-block.ts";
import { formatDistance } from "../client/times.ts";
import { formatList, toItem } from "../look/list-text.ts";
import { countHoldings, type Holdings, readHoldings } from "./holdings.ts";

export type OwnerOptions = ConnectionOptions & { readonly output: "text" | "wide" | "name" | "json" | "yaml" };

/** `kubectl apitoken owner`; returns its exit code. */
export function runOwner(context: CommandContext<OwnerOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { output } = context.options;
    const holdings = await readHoldings(client, context.argument);
    for (const right of holdings.missingRights) note(`You lack the right to ${right}, so blocks are not shown.`);
    if (output === "json" || output === "yaml") {
      const { owner, tokens, blocks } = holdings;
      await printObject({ owner, apiTokens: tokens.map(toItem), ownerBlocks: blocks }, output);
    } else if (output === "name") {
      print(holdings.tokens.map(({ name }) => `apitoken.apitoken.dev/${name}\n`).join(""));
    } else print(formatHoldings(holdings, output === "wide", new Date(), findPage(context)));
    return EXIT.done;
  });
}

function formatHoldings(holdings: Holdings, isWide: boolean, now: Date, { paint }: Page): string {
  const { owner, tokens, blocks = [] } = holdings;
  const { apiTokens, ready, namespaces } = countHoldings(holdings);
  const verdict =
    apiTokens === 0
      ? `No ApiToken has the owner ${owner}. "kubectl apitoken list -A" shows how owners are written.`
      : `${owner} has ${count(apiTokens, "ApiToken")} in ${count(namespaces, "namespace")}, ${ready} of them Ready.`;
  const sections = [
    [paint("bold", verdict)],
    tokens.length === 0 ? [] : formatList(tokens, { hasNamespaces: true, isWide }, now, paint),
    blocks.map((block) => wordBlock(block, now)),
    [blocks.length === 0 && apiTokens > 0 ? `Next: kubectl apitoken offboard ${owner}` : ""],
  ];
  return sections
    .filter((lines) => lines.join("") !== "")
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

/** An OwnerBlock in a sentence. */
export function wordBlock({ name, reason, effectiveAt, conditions }: OwnerBlockView, now: Date): string {
  const effective = conditions.find(({ type }) => type === "Effective");
  const state =
    effective === undefined
      ? "no controller has looked at it yet"
      : effective.status === "True"
        ? `in effect (${effective.reason})`
        : `not in effect (${effective.reason})`;
  const when = effectiveAt === undefined ? "" : `, from ${effectiveAt} (${formatDistance(effectiveAt, now)})`;
  return `OwnerBlock ${name}: ${state}${when}${reason === "" ? "" : `: ${reason}`}`;
}
