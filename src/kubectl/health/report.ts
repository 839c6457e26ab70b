/*
 * `report`: what somebody who helps needs to see, in one file. It has no Secret, no environment variable of a program and no
 * metadata of a token; anything that looks like a token is cut.
 */
import { isCode } from "../../kube/api-error.ts";
import { listPolicies } from "../../kube/resources/policy-api.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { VERSION } from "../../runtime/version.ts";
import { hideTokens } from "../../token/token-string.ts";
import { type Client, withClient } from "../client/client.ts";
import { formatRight } from "../client/faults.ts";
import { findDeployments } from "../client/operator.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note, printObject } from "../client/output.ts";
import { readOwnerBlocks } from "../client/owner-block.ts";
import { readTokens } from "../client/tokens.ts";
import { toItem } from "../look/list-text.ts";
import { summarizeAll, toSummaryObject } from "../look/summary.ts";
import { examine } from "./check.ts";
import { CATEGORIES } from "./finding.ts";

export type ReportOptions = ConnectionOptions & { readonly output: "yaml" | "json" };

/** Among very many ApiTokens, those that are not Ready are of interest. */
const MOST_TOKENS = 500;

/** `kubectl apitoken report`; returns its exit code. */
export function runReport(context: CommandContext<ReportOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const report = await buildReport(client, new Date());
    note("The report has names, owners and conditions of your resources: look through it before you pass it on.");
    await printObject(withoutTokens(report), context.options.output);
    return EXIT.done;
  });
}

async function buildReport(client: Client, now: Date) {
  const [kubernetes, findings, programs, policies, ownerBlocks, tokens] = await Promise.all([
    client.transport.request<{ gitVersion: string }>("GET", "/version"),
    examine(client, CATEGORIES),
    findDeployments(client),
    orMissingRight(listPolicies(client.transport)),
    orMissingRight(readOwnerBlocks(client)),
    orMissingRight(readTokens(client, { namespace: undefined })),
  ]);
  return {
    createdAt: now.toISOString(),
    plugin: VERSION,
    kubernetes: kubernetes.gitVersion,
    findings,
    programs,
    policies,
    ownerBlocks,
    apiTokens:
      typeof tokens === "string"
        ? tokens
        : {
            ...toSummaryObject(summarizeAll(tokens.tokens, undefined, now)),
            items: tokens.tokens.slice(0, MOST_TOKENS).map(toItem),
          },
  };
}

/** What could not be read is in the report as well. */
async function orMissingRight<T>(work: Promise<T>): Promise<T | string> {
  return work.catch((error: unknown) => {
    if (isCode(error, 403) && error.missingRight) return `you lack the right to ${formatRight(error.missingRight)}`;
    throw error;
  });
}

/** The same object with the secret part of everything in it that looks like a token removed. */
export function withoutTokens<T>(report: T): T {
  return JSON.parse(hideTokens(JSON.stringify(report)));
}
