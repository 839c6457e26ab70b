/*
 * Asks the API server what it would do with a new ApiToken: its rules and its admission policies answer, and nothing is written.
 */
import { KubeApiError } from "../../kube/api-error.ts";
import { type ApiToken, parseSpec } from "../../kube/resources/api-token.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { Fault } from "../../runtime/fault.ts";
import type { DesiredToken } from "../../token/model.ts";
import type { Client } from "../client/client.ts";
import { buildApiToken, type SpecOptions } from "./spec.ts";

/** What the API server would store. */
export interface Draft {
  readonly body: ReturnType<typeof buildApiToken>;
  readonly desired: DesiredToken;
}

/**
 * Tries the ApiToken that these options describe. Without an owner, it is named after the namespace and the ApiToken, as the
 * chart's policy allows; where people may only act for themselves, the owner is the user. Throws like `KubeTransport.request`.
 */
export async function draftApiToken(client: Client, name: string, options: SpecOptions): Promise<Draft> {
  const { namespace } = client;
  const proposed = options.owner ?? `${namespace}/${name}`;
  try {
    return await tryOut(client, buildApiToken(namespace, name, proposed, options));
  } catch (error) {
    const owner = options.owner === undefined ? findOwnOwner(error) : undefined;
    if (owner === undefined) throw error;
    return tryOut(client, buildApiToken(namespace, name, owner, options));
  }
}

/** How the chart's admission policy for people ends its refusal (templates/policy/identity.yaml). */
const ONLY_OWNER = /only ApiTokens with spec\.owner (\S+)$/;

/** The only owner that the user may act for, if that is why the API server has refused another. */
export function findOwnOwner(error: unknown): string | undefined {
  return error instanceof KubeApiError ? ONLY_OWNER.exec(error.answer ?? "")?.[1] : undefined;
}

async function tryOut({ transport, namespace }: Client, body: Draft["body"]): Promise<Draft> {
  const query = { dryRun: "All" };
  const stored = await transport.request<ApiToken>("POST", apiTokensPath(namespace), { query, body });
  const { desired, problem } = parseSpec(stored);
  if (desired !== undefined) return { body, desired };
  throw new Fault({
    faultCode: "APITOKEN_E_UNEXPECTED",
    object: `the ApiToken "${namespace}/${body.metadata.name}"`,
    problem: `the API server accepts it, and this plugin cannot read it: ${problem}`,
    remedy: '"kubectl apitoken version" shows whether the plugin and the CRDs are of the same release',
  });
}
