/*
 * `list`: the ApiTokens that pass the filters, and with -w every change of them.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import type { ApiTokenView } from "../client/api-token.ts";
import { type Client, withClient } from "../client/client.ts";
import type { ScopeOptions } from "../client/options.ts";
import { findPage, note, print, printObject } from "../client/output.ts";
import { readTokens, type Selection, type TokenList } from "../client/tokens.ts";
import { ownersOf, whoAmI } from "../client/whoami.ts";
import { type Filter, passes } from "./filter.ts";
import { follow } from "./follow.ts";
import { formatList, type Layout, toItem } from "./list-text.ts";

export type ListOptions = ScopeOptions & {
  readonly mine: boolean;
  readonly owner: string | undefined;
  readonly expiring: number | undefined;
  readonly unused: number | undefined;
  readonly "not-ready": boolean;
  readonly selector: string | undefined;
  readonly watch: boolean;
  readonly output: "text" | "wide" | "name" | "json" | "yaml";
};

/** `kubectl apitoken list`; returns its exit code. */
export function runList(context: CommandContext<ListOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { options } = context;
    const filter = await readFilter(client, options);
    const selection = readSelection(client, options);
    const list = await readTokens(client, selection);
    const shown = list.tokens.filter((token) => passes(filter, token, new Date()));
    if (shown.length === 0) note(wordNothing(list, selection));
    if (options.watch) {
      const { output } = options;
      const page = findPage(context);
      await follow(client, { selection, filter, list, first: shown, layout: layoutOf(options), output, page });
    } else await show(shown, context);
    return EXIT.done;
  });
}

async function readFilter(client: Client, options: ListOptions): Promise<Filter> {
  return {
    owner: options.owner,
    mine: options.mine ? ownersOf((await whoAmI(client)).username) : undefined,
    expiringMs: options.expiring,
    unusedMs: options.unused,
    isNotReadyOnly: options["not-ready"],
  };
}

function readSelection({ namespace }: Client, options: ListOptions): Selection {
  const isExact = options.owner !== undefined && !/[*$,\\=]/.test(options.owner);
  return {
    namespace: options["all-namespaces"] ? undefined : namespace,
    labelSelector: options.selector,
    owner: isExact ? options.owner : undefined,
  };
}

function layoutOf({ output, "all-namespaces": hasNamespaces }: ListOptions): Layout {
  return { hasNamespaces, isWide: output === "wide" };
}

async function show(tokens: readonly ApiTokenView[], context: CommandContext<ListOptions>): Promise<void> {
  const { output } = context.options;
  if (output === "name") print(tokens.map(({ name }) => `apitoken.apitoken.dev/${name}\n`).join(""));
  else if (output === "json" || output === "yaml") await printObject({ items: tokens.map(toItem) }, output);
  else if (tokens.length > 0) {
    print(formatList(tokens, layoutOf(context.options), new Date(), findPage(context).paint).join("\n"));
  }
}

function wordNothing({ tokens }: TokenList, { namespace }: Selection): string {
  const place = namespace === undefined ? "in the cluster" : `in the namespace ${namespace}`;
  return tokens.length === 0 ? `No ApiTokens were found ${place}.` : `None of the ${tokens.length} ApiTokens passes.`;
}
