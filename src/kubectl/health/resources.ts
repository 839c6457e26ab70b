/*
 * What the resources say: CRDs, policies, ApiTokens, and through their reasons the database, which the plugin never sees.
 */
import { undefinedIfMissing } from "../../kube/api-error.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import { readPolicySpec } from "../../kube/resources/policy.ts";
import { listPolicies } from "../../kube/resources/policy-api.ts";
import { count, formatCount, joinWords, stripControls } from "../../runtime/text.ts";
import { readCondition } from "../client/api-token.ts";
import type { Census } from "../client/census.ts";
import type { Client } from "../client/client.ts";
import type { OwnerBlockView } from "../client/owner-block.ts";
import { type Finding, findingsOf } from "./finding.ts";

const KINDS = ["apitokens", "apitokenpolicies", "ownerblocks"];

export async function checkDefinitions({ transport }: Client): Promise<Finding[]> {
  const { ok, fail } = findingsOf("crds");
  interface Discovery {
    readonly resources: readonly { readonly name: string }[];
  }
  const found = await transport.request<Discovery>("GET", `/apis/${API_VERSION}`).catch(undefinedIfMissing);
  const served = found?.resources.map(({ name }) => name) ?? [];
  const missing = KINDS.filter((kind) => !served.includes(kind));
  if (missing.length === 0) return [ok(`the API server serves ${API_VERSION}`)];
  return [
    fail(
      `${joinWords(missing, "and")} of ${API_VERSION} are missing: kubectl apply --server-side -f crds/`,
      "docs/install.md",
    ),
  ];
}

export async function checkPolicies({ transport }: Client): Promise<Finding[]> {
  const { ok, warn, fail } = findingsOf("policies");
  const resources = await listPolicies(transport);
  if (resources.length === 0)
    return [fail("there is no ApiTokenPolicy, so nothing is issued", "docs/runbooks/not-ready.md")];
  return resources.map((resource): Finding => {
    const { name } = resource.metadata;
    const { problem } = readPolicySpec(resource);
    const accepted = (resource.status?.conditions ?? []).map(readCondition).find(({ type }) => type === "Accepted");
    if (accepted?.status === "False") return fail(`${name}: ${accepted.message}`, "docs/runbooks/not-ready.md");
    if (problem !== undefined) return warn(`${name} cannot be read by this plugin: ${stripControls(problem)}`);
    if (accepted === undefined) return warn(`${name}: no controller has looked at it yet`);
    return resource.status?.namespaces === 0
      ? warn(`${name}: ${accepted.message}`)
      : ok(`${name}: ${accepted.message}`);
  });
}

const DATABASE_REASONS = ["DatabaseUnavailable", "DatabaseRefused"];

/** How the database is, as far as conditions say so. */
export function judgeDatabase({ reasons }: Census, blocks: readonly OwnerBlockView[]): Finding[] {
  const { ok, fail } = findingsOf("database");
  const tokens = DATABASE_REASONS.reduce((sum, reason) => sum + (reasons[reason] ?? 0), 0);
  const waiting = blocks.filter(({ conditions }) =>
    conditions.some(({ status, reason }) => status !== "True" && DATABASE_REASONS.includes(reason)),
  );
  if (tokens === 0 && waiting.length === 0) return [ok("no resource reports that the database is away")];
  const who = [
    ...(tokens === 0 ? [] : [count(tokens, "ApiToken")]),
    ...(waiting.length === 0 ? [] : [count(waiting.length, "OwnerBlock")]),
  ];
  return [fail(`${joinWords(who, "and")} wait for the database`, "docs/runbooks/database-unreachable.md")];
}

/** How the ApiTokens are. */
export function judgeTokens({ total, ready, reasons }: Census, where: string): Finding[] {
  const { ok, warn } = findingsOf("tokens");
  if (total === ready) return [ok(`all ${count(total, "ApiToken")} ${where} are Ready`)];
  const others = Object.entries(reasons).map(([reason, number]) => `${reason} ${formatCount(number)}`);
  const text = `${formatCount(total - ready)} of ${count(total, "ApiToken")} ${where} are not Ready (all reasons: ${others.join(", ")})`;
  return [warn(text, "docs/runbooks/not-ready.md")];
}
