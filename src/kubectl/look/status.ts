/*
 * `status NAME`: everything about one ApiToken that its status, its Events and its policy's name say. Without a name: which
 * ApiTokens need somebody.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { type Client, withClient } from "../client/client.ts";
import { findApiToken } from "../client/find.ts";
import type { ScopeOptions } from "../client/options.ts";
import { findPage, print, printObject } from "../client/output.ts";
import { readEvents } from "./events.ts";
import { formatStatus } from "./status-text.ts";
import { describeStatus } from "./status-view.ts";
import { readSummary, toSummaryObject } from "./summary.ts";
import { formatSummary, LISTED } from "./summary-text.ts";

export type StatusOptions = ScopeOptions & { readonly output: "text" | "json" | "yaml" | "name" };

/** `kubectl apitoken status`; returns its exit code. */
export function runStatus(context: CommandContext<StatusOptions>): Promise<number> {
  return withClient(context, (client) =>
    context.argument === "" ? showSummary(client, context) : showOne(client, context),
  );
}

async function showOne(client: Client, context: CommandContext<StatusOptions>): Promise<number> {
  const { output } = context.options;
  const token = await findApiToken(client, context.argument);
  const view = describeStatus(token, await readEvents(client, token));
  if (output === "text") print(formatStatus(view, new Date(), findPage(context)));
  else if (output === "name") print(`apitoken.apitoken.dev/${view.name}`);
  else await printObject(view, output);
  return view.verdict === "Ready" || view.verdict === "Waiting" ? EXIT.done : EXIT.differences;
}

async function showSummary(client: Client, context: CommandContext<StatusOptions>): Promise<number> {
  const { output } = context.options;
  const namespace = context.options["all-namespaces"] ? undefined : client.namespace;
  const summary = await readSummary(
    client,
    namespace,
    new Date(),
    output === "text" ? LISTED : Number.POSITIVE_INFINITY,
  );
  if (output === "text") print(formatSummary(summary, new Date(), findPage(context)));
  else if (output === "name")
    print(summary.notReady.described.map(({ name }) => `apitoken.apitoken.dev/${name}\n`).join(""));
  else await printObject(toSummaryObject(summary), output);
  return summary.notReady.count === 0 ? EXIT.done : EXIT.differences;
}
