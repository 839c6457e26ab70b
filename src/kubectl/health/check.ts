/*
 * `check`: one line for each part of the operator, from what the API server has.
 */
import { isCode } from "../../kube/api-error.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { ConfigError } from "../../runtime/config.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { findNear, joinWords } from "../../runtime/text.ts";
import { readSketches, takeCensus } from "../client/census.ts";
import { type Client, withClient } from "../client/client.ts";
import { formatRight } from "../client/faults.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { findPage, type Page, print, printObject } from "../client/output.ts";
import { readOwnerBlocks } from "../client/owner-block.ts";
import { CATEGORIES, type Category, type Finding, findingsOf, type Level } from "./finding.ts";
import { checkCleanup, checkController, checkVerifier } from "./operator.ts";
import { checkBeforeInstallation } from "./pre.ts";
import { checkDefinitions, checkPolicies, judgeDatabase, judgeTokens } from "./resources.ts";

export type CheckOptions = ConnectionOptions & { readonly pre: boolean; readonly output: "text" | "json" | "yaml" };

/** `kubectl apitoken check`; returns its exit code. */
export function runCheck(context: CommandContext<CheckOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { argument, options } = context;
    const findings = options.pre
      ? await checkBeforeInstallation(client)
      : await examine(client, argument === "" ? CATEGORIES : [readCategory(argument)]);
    if (options.output === "text") print(formatFindings(findings, findPage(context)));
    else await printObject({ findings }, options.output);
    return findings.some(({ level }) => level === "failure") ? EXIT.differences : EXIT.done;
  });
}

type Checked = (typeof CATEGORIES)[number];

function readCategory(name: string): Checked {
  const category = CATEGORIES.find((known) => known === name);
  if (category !== undefined) return category;
  const near = findNear(name, CATEGORIES);
  throw new ConfigError(
    `unknown category ${JSON.stringify(name)}${near === undefined ? "" : ` (did you mean ${near}?)`}; the categories are ${joinWords(CATEGORIES, "and")}`,
    { faultCode: "APITOKEN_E_USAGE" },
  );
}

/** The findings of these categories, in their order. All are examined at once: each waits for the API server alone. */
export async function examine(client: Client, categories: readonly Checked[]): Promise<Finding[]> {
  const now = new Date();
  // Two categories need the same numbers.
  let census: ReturnType<typeof countTokens> | undefined;
  const count = () => {
    census ??= countTokens(client);
    return census;
  };
  const checks: Readonly<Record<Checked, () => Promise<Finding[]>>> = {
    crds: () => checkDefinitions(client),
    policies: () => checkPolicies(client),
    controller: () => checkController(client, now),
    verifier: () => checkVerifier(client),
    cleanup: () => checkCleanup(client, now),
    database: async () => {
      const [{ numbers }, blocks] = await Promise.all([count(), readOwnerBlocks(client)]);
      return judgeDatabase(numbers, blocks);
    },
    tokens: async () => {
      const { numbers, where } = await count();
      return judgeTokens(numbers, where);
    },
  };
  const all = await Promise.all(categories.map((category) => orMissingRight(category, checks[category]())));
  return all.flat();
}

/** In the whole cluster, or in the client's namespace if the user may not look further. */
async function countTokens(client: Client) {
  const inNamespace = { where: `in the namespace ${client.namespace}` };
  try {
    return { numbers: await takeCensus(await readSketches(client, undefined)), where: "in the cluster" };
  } catch (error) {
    if (!isCode(error, 403)) throw error;
    return { numbers: await takeCensus(await readSketches(client, client.namespace)), ...inNamespace };
  }
}

/** What the user may not read is a finding: the other categories are still worth a look. */
async function orMissingRight(category: Category, findings: Promise<Finding[]>): Promise<Finding[]> {
  const { warn, fail } = findingsOf(category);
  try {
    return await findings;
  } catch (error) {
    if (isCode(error, 404)) return [fail("the CRDs are missing", "docs/install.md")];
    if (!isCode(error, 403) || error.missingRight === undefined) throw error;
    return [warn(`you lack the right to ${formatRight(error.missingRight)}, so it is not known`)];
  }
}

const SIGNS: Readonly<Record<Level, readonly [sign: string, style: "green" | "yellow" | "red"]>> = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  failure: ["✗", "red"],
};

const CATEGORY_WIDTH = Math.max(...CATEGORIES.map(({ length }) => length)) + 2;

function formatFindings(findings: readonly Finding[], { paint }: Page): string {
  return findings
    .map(({ category, level, text, see }) => {
      const [sign, style] = SIGNS[level];
      const link = see === undefined || level === "ok" ? "" : ` (${see})`;
      return `${paint(style, sign)} ${category.padEnd(CATEGORY_WIDTH)}${text}${link}`;
    })
    .join("\n");
}
