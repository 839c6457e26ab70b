/*
 * `explain`: what a reason or an error code means, without a cluster.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { ConfigError } from "../../runtime/config.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { formatTable } from "../../runtime/terminal.ts";
import { wrap } from "../../runtime/text.ts";
import { findPage, type Page, print, printObject } from "../client/output.ts";
import type { GuideEntry } from "../guide/build.ts";
import { explain, findNearName, GUIDE } from "../guide/guide.ts";

export interface ExplainOptions {
  readonly output: "text" | "json" | "yaml" | "name";
}

/** `kubectl apitoken explain`; returns its exit code. */
export async function runExplain(context: CommandContext<ExplainOptions>): Promise<number> {
  const { argument, options } = context;
  const entries = argument === "" ? GUIDE : explain(argument);
  if (entries.length === 0) throw unknownName(argument);
  if (options.output === "json" || options.output === "yaml") await printObject({ items: entries }, options.output);
  else if (options.output === "name") print([...new Set(entries.map(({ name }) => name))].join("\n"));
  else print(argument === "" ? formatIndex(findPage(context)) : formatEntries(entries, findPage(context)));
  return EXIT.done;
}

function unknownName(name: string): ConfigError {
  const near = findNearName(name);
  return new ConfigError(
    `this release does not know ${JSON.stringify(name)}${near === undefined ? "" : ` (did you mean ${near}?)`}; "kubectl apitoken explain" lists what it knows, and the controller may be newer: "kubectl apitoken version"`,
    { faultCode: "APITOKEN_E_USAGE" },
  );
}

function formatIndex({ paint }: Page): string {
  const rows = GUIDE.map(({ name, about, condition, status }) => [
    name,
    [about, condition, status].filter((part) => part !== undefined).join(", "),
  ]);
  return formatTable({ columns: [{ title: "NAME" }, { title: "WHAT IT IS" }], rows }, paint).join("\n");
}

function formatEntries(entries: readonly GuideEntry[], page: Page): string {
  return entries.map((entry) => formatEntry(entry, page)).join("\n\n");
}

function formatEntry({ name, about, condition, status, cause, remedy, more = {} }: GuideEntry, page: Page): string {
  const { paint, width } = page;
  const place = [about, condition && `(${condition})`, status && `(${status})`].filter(Boolean).join(" ");
  return [
    `${paint("bold", name)}: ${place}`,
    ...wrap(`  ${cause}`, width, "  "),
    ...(remedy === undefined ? [] : wrap(`  What to do: ${remedy}`, width, "  ")),
    ...Object.entries(more).flatMap(([title, text]) => wrap(`  ${title}: ${text}`, width, "  ")),
  ].join("\n");
}
