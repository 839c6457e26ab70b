/*
 * `list -w`: a row, or an object, for every change, until the user stops it.
 */
import type { ApiTokenView } from "../client/api-token.ts";
import type { Client } from "../client/client.ts";
import { explainFailure } from "../client/faults.ts";
import { note, type Page, print, printObject } from "../client/output.ts";
import type { Selection, TokenList } from "../client/tokens.ts";
import { type TokenChange, watchTokens } from "../client/watch.ts";
import { type Filter, passes } from "./filter.ts";
import { createRowFormat, formatList, type Layout, toItem } from "./list-text.ts";

export interface Following {
  readonly selection: Selection;
  readonly filter: Filter;
  readonly list: TokenList;
  /** Those of the list that pass the filter. */
  readonly first: readonly ApiTokenView[];
  readonly layout: Layout;
  readonly output: "text" | "wide" | "name" | "json" | "yaml";
  readonly page: Page;
}

/** Prints what there is, and then every change, until the user stops it. */
export async function follow(client: Client, following: Following): Promise<void> {
  const { selection, filter, list, first } = following;
  const show = createPrinter(following);
  for (const token of first) await show({ token, isDeleted: false });
  const isShown = createGate(filter, first);
  const tellLoss = (error: Error) => note(`${(explainFailure(error, client) as Error).message}. Trying again …`);
  for await (const change of watchTokens(client, selection, list, tellLoss)) {
    if (isShown(change, new Date())) await show(change);
  }
}

/**
 * Which changes are shown: those of ApiTokens that pass the filter, and the change with which one stops to pass, because otherwise
 * nobody would see that it is Ready at last.
 */
export function createGate(filter: Filter, first: readonly ApiTokenView[]) {
  const shown = new Set(first.map(({ uid }) => uid));
  return ({ token, isDeleted }: TokenChange, now: Date): boolean => {
    const wasShown = shown.has(token.uid);
    const hasPassed = passes(filter, token, now);
    if (hasPassed && !isDeleted) shown.add(token.uid);
    else shown.delete(token.uid);
    return wasShown || hasPassed;
  };
}

function createPrinter({ first, layout, output, page: { paint } }: Following) {
  const now = new Date();
  const formatRow = createRowFormat(first, layout, now, paint);
  let isHeadDue = output === "text" || output === "wide";
  return async ({ token, isDeleted }: TokenChange): Promise<void> => {
    const item = { ...toItem(token), ...(isDeleted ? { isDeleted } : {}) };
    if (output === "json") return print(JSON.stringify(item));
    if (output === "name") return print(`apitoken.apitoken.dev/${token.name}`);
    if (output === "yaml") {
      print("---");
      return printObject(item, output);
    }
    // The titles come with the first row, as with kubectl.
    if (isHeadDue) print(formatList(first.length > 0 ? first : [token], layout, now, paint)[0] ?? "");
    isHeadDue = false;
    print(`${formatRow(token, new Date())}${isDeleted ? "  (deleted)" : ""}`);
  };
}
