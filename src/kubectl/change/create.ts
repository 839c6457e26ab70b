/*
 * `create`: tries the ApiToken out, says what the policy will do with it, creates it, and waits until its Secret holds a token.
 */
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { RefusedError } from "../../runtime/program.ts";
import { count } from "../../runtime/text.ts";
import { formatDuration } from "../../token/duration.ts";
import { isReady } from "../client/api-token.ts";
import { type Client, withClient } from "../client/client.ts";
import { confirm } from "../client/confirm.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { findPage, note, print, printObject } from "../client/output.ts";
import { type Preview, previewPolicies } from "../client/preview.ts";
import { isStuck, waitFor } from "../client/wait.ts";
import { formatStatus } from "../look/status-text.ts";
import { describeStatus } from "../look/status-view.ts";
import { type Draft, draftApiToken } from "./dry-run.ts";
import { findExcess, findRivals } from "./limit.ts";
import { wordPreview } from "./preview-text.ts";
import type { SpecOptions } from "./spec.ts";

export type CreateOptions = ConnectionOptions &
  SpecOptions & {
    readonly yes: boolean;
    readonly "dry-run": boolean;
    readonly "no-wait": boolean;
    readonly timeout: number;
    readonly output: "text" | "json" | "yaml" | "name";
  };

/** `kubectl apitoken create`; returns its exit code. */
export function runCreate(context: CommandContext<CreateOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { argument: name, options } = context;
    const draft = await draftApiToken(client, name, options);
    const preview = await previewPolicies(client, client.namespace, draft.desired);
    for (const line of wordPreview(preview, client.namespace, draft.desired)) note(line);
    refuseIfDenied(preview, name);
    const isAgreed = preview.kind !== "allowed" || (await agreeToExcess(client, draft, preview, options));
    if (options["dry-run"]) {
      await printDraft(draft, options.output);
      return EXIT.done;
    }
    if (!isAgreed) return EXIT.stopped;
    await client.transport.request("POST", apiTokensPath(client.namespace), { body: draft.body });
    note(`The ApiToken ${client.namespace}/${name} is created, with the owner ${draft.desired.owner}.`);
    return options["no-wait"] ? EXIT.done : waitUntilReady(client, context);
  });
}

function refuseIfDenied(preview: Preview, name: string): void {
  if (preview.kind === "allowed" || preview.kind === "unknown") return;
  throw new RefusedError({
    faultCode: "APITOKEN_E_POLICY_REFUSES",
    object: `the ApiToken ${name}`,
    problem: "it would get no token, for the reason above; nothing was created",
    remedy: `"kubectl apitoken explain ${preview.kind === "denied" ? "PolicyDenied" : "PolicyMissing"}" says what to do`,
  });
}

/** Whether the user agrees to what a further ApiToken does to the owner's others. */
async function agreeToExcess(
  client: Client,
  { desired: { owner } }: Draft,
  preview: Extract<Preview, { kind: "allowed" }>,
  options: CreateOptions,
): Promise<boolean> {
  const excess = findExcess(await findRivals(client, owner), preview);
  if (excess.length === 0) return true;
  const names = excess.map((token) => `${token.namespace}/${token.name}`).join(", ");
  if (preview.perOwner.onLimit === "Reject") {
    throw new RefusedError({
      faultCode: "APITOKEN_E_POLICY_REFUSES",
      object: `the owner ${owner}`,
      problem: `it has as many tokens as the ApiTokenPolicy ${preview.policy} allows (${names}); nothing was created`,
      remedy: "revoke or delete one of them, or choose another --owner",
    });
  }
  note(`This ends ${count(excess.length, "other ApiToken")} of the owner ${owner} for good: ${names}.`);
  return options["dry-run"] || confirm("Create it?", options.yes, client.stop);
}

async function printDraft({ body }: Draft, output: CreateOptions["output"]): Promise<void> {
  if (output === "name") return print(`apitoken.apitoken.dev/${body.metadata.name}`);
  note("Dry run: nothing was created.");
  await printObject(body, output === "json" ? "json" : "yaml");
}

async function waitUntilReady(client: Client, context: CommandContext<CreateOptions>): Promise<number> {
  const { argument: name, options } = context;
  const { output, timeout } = options;
  const place = { namespace: client.namespace, name };
  const { outcome, token } = await waitFor(client, place, (seen) => isReady(seen) || isStuck(seen), timeout);
  if (outcome === "late") note(`It is not Ready after ${formatDuration(timeout)}; the controller continues.`);
  if (token === undefined) return EXIT.stopped;
  const view = describeStatus(token, []);
  if (output === "text") print(formatStatus(view, new Date(), findPage(context)));
  else if (output === "name") print(`apitoken.apitoken.dev/${name}`);
  else await printObject(view, output);
  if (isReady(token)) return EXIT.done;
  return outcome === "late" ? EXIT.stopped : EXIT.differences;
}
