/*
 * `can-i`: whether the API server and the policies would accept an ApiToken, and what they would make of it.
 */
import { KubeApiError } from "../../kube/api-error.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import type { Fault } from "../../runtime/fault.ts";
import { withClient } from "../client/client.ts";
import { explainFailure } from "../client/faults.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { print, printObject } from "../client/output.ts";
import { previewPolicies } from "../client/preview.ts";
import { draftApiToken } from "./dry-run.ts";
import { wordPreview } from "./preview-text.ts";
import type { SpecOptions } from "./spec.ts";

export type CanIOptions = ConnectionOptions & SpecOptions & { readonly output: "text" | "json" | "yaml" };

/** The name with which the ApiToken is tried out if none is given; nothing of this name is created. */
const TRIAL_NAME = "trial";

/** `kubectl apitoken can-i`; returns its exit code. */
export function runCanI(context: CommandContext<CanIOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { options, argument } = context;
    const { namespace } = client;
    const answer = await draftApiToken(client, argument || TRIAL_NAME, options).then(
      async ({ desired }) => {
        const policy = await previewPolicies(client, namespace, desired);
        const isAllowed = policy.kind === "allowed" ? true : policy.kind === "unknown" ? undefined : false;
        return { isAllowed, owner: desired.owner, policy, reasons: wordPreview(policy, namespace, desired) };
      },
      (error: unknown) => {
        if (!(error instanceof KubeApiError) || ![400, 403, 422].includes(error.code)) throw error;
        return { isAllowed: false, reasons: [(explainFailure(error, client) as Fault).message] };
      },
    );
    if (options.output === "text") print([wordAnswer(answer.isAllowed), ...answer.reasons].join("\n"));
    else await printObject({ namespace, ...answer }, options.output);
    return answer.isAllowed === false ? EXIT.differences : EXIT.done;
  });
}

function wordAnswer(isAllowed: boolean | undefined): string {
  if (isAllowed === undefined) return "unknown: the API server accepts it";
  return isAllowed ? "yes" : "no";
}
