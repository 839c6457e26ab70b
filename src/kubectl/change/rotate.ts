/*
 * `rotate`: asks the controller for the next token of one ApiToken, or of many, and with --wait until it is in the Secret.
 */
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { ConfigError } from "../../runtime/config.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { count } from "../../runtime/text.ts";
import { formatDuration } from "../../token/duration.ts";
import { type ApiTokenView, conditionOf, readApiToken } from "../client/api-token.ts";
import { type Client, withClient } from "../client/client.ts";
import { confirm } from "../client/confirm.ts";
import { explainFailure } from "../client/faults.ts";
import { findApiToken } from "../client/find.ts";
import type { ScopeOptions } from "../client/options.ts";
import { note, print, printObject } from "../client/output.ts";
import { readTokens } from "../client/tokens.ts";
import { isStuck, waitFor } from "../client/wait.ts";
import { forEachItem, type Outcome } from "./bulk.ts";

export type RotateOptions = ScopeOptions & {
  readonly selector: string | undefined;
  readonly all: boolean;
  readonly wait: boolean;
  readonly timeout: number;
  readonly yes: boolean;
  readonly "dry-run": boolean;
  readonly output: "text" | "json" | "yaml" | "name";
};

/** What has become of one request. */
interface Rotation {
  readonly token: ApiTokenView;
  readonly state: "Requested" | "Rotated" | "Late" | "Stuck" | "Deleted";
}

/** `kubectl apitoken rotate`; returns its exit code. */
export function runRotate(context: CommandContext<RotateOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { options, argument } = context;
    const tokens = argument === "" ? await selectTokens(client, options) : [await findApiToken(client, argument)];
    if (tokens.length === 0) {
      note("No ApiToken is selected.");
      return EXIT.done;
    }
    const isBulk = argument === "";
    if (isBulk) announce(tokens);
    if (options["dry-run"]) {
      note("Dry run: no rotation was requested.");
      print(tokens.map(wordName).join("\n"));
      return EXIT.done;
    }
    const question = `Rotate ${count(tokens.length, "ApiToken")}?`;
    if (isBulk && !(await confirm(question, options.yes, client.stop))) return EXIT.stopped;
    const outcomes = await forEachItem(
      tokens,
      (token) => rotate(client, token, options),
      (outcome) => report(client, outcome, options),
    );
    if (options.output === "json" || options.output === "yaml") await printOutcomes(client, outcomes, options.output);
    return findExitCode(outcomes);
  });
}

async function selectTokens(client: Client, options: RotateOptions): Promise<readonly ApiTokenView[]> {
  const { selector, all } = options;
  if (!all && selector === undefined) {
    throw new ConfigError("missing argument NAME: name an ApiToken, or select several with -l or --all", {
      faultCode: "APITOKEN_E_USAGE",
    });
  }
  const namespace = options["all-namespaces"] ? undefined : client.namespace;
  return (await readTokens(client, { namespace, labelSelector: selector })).tokens;
}

function announce(tokens: readonly ApiTokenView[]): void {
  for (const token of tokens) note(`  ${wordName(token)}`);
}

/** What the controller says of the ApiToken. */
const wordReady = (token: ApiTokenView) => conditionOf(token, "Ready")?.message ?? "";

const wordName = ({ namespace, name }: ApiTokenView) => `${namespace}/${name}`;

async function rotate(client: Client, token: ApiTokenView, options: RotateOptions): Promise<Rotation> {
  const { namespace, name, uid } = token;
  // The uid is a condition of the patch: another ApiToken of the same name is not meant.
  const requestedAt = new Date().toISOString();
  const body = { metadata: { uid, annotations: { [ROTATE_ANNOTATION]: requestedAt } } };
  const patched = readApiToken(
    await client.transport.request("PATCH", `${apiTokensPath(namespace)}/${name}`, {
      contentType: "application/merge-patch+json",
      body,
    }),
  );
  if (!options.wait) return { token: patched, state: "Requested" };
  let said = wordReady(token);
  const isHandled = (seen: ApiTokenView) => seen.lastHandledRotateAt === requestedAt;
  const { outcome, token: last = patched } = await waitFor(
    client,
    token,
    (seen) => isHandled(seen) || isStuck(seen),
    options.timeout,
    (seen) => {
      // Such as that the policy allows a rotation only later.
      if (wordReady(seen) !== said) note(`${wordName(token)}: ${wordReady(seen)}`);
      said = wordReady(seen);
    },
  );
  if (outcome === "deleted") return { token: last, state: "Deleted" };
  if (outcome === "late") return { token: last, state: "Late" };
  return { token: last, state: isHandled(last) ? "Rotated" : "Stuck" };
}

function report(
  client: Client,
  { item, result, error }: Outcome<ApiTokenView, Rotation>,
  options: RotateOptions,
): void {
  if (error !== undefined) note(`${wordName(item)}: ${(explainFailure(error, client) as Error).message}`);
  else if (options.output === "text") print(`${wordName(item)}: ${wordRotation(result, options)}`);
  else if (options.output === "name") print(`apitoken.apitoken.dev/${item.name}`);
}

function wordRotation({ token, state }: Rotation, { timeout }: RotateOptions): string {
  const { namespace, name, tokenId, secretName, previous } = token;
  const message = wordReady(token);
  switch (state) {
    case "Requested":
      return `a rotation is requested; kubectl apitoken status ${name} -n ${namespace} shows when it is done`;
    case "Rotated":
      return `the Secret ${secretName} holds the token ${tokenId}${
        previous === undefined ? "" : `; the previous one, ${previous.tokenId}, works until ${previous.validUntil}`
      }`;
    case "Late":
      return `not rotated after ${formatDuration(timeout)}: ${message}`;
    case "Stuck":
      return `not rotated: ${message}`;
    case "Deleted":
      return "it was deleted meanwhile";
  }
}

async function printOutcomes(
  client: Client,
  outcomes: readonly Outcome<ApiTokenView, Rotation>[],
  format: "json" | "yaml",
): Promise<void> {
  const items = outcomes.map(({ item: { namespace, name }, result, error }) =>
    error === undefined
      ? { namespace, name, state: result.state, tokenId: result.token.tokenId, previous: result.token.previous }
      : { namespace, name, state: "Failed", problem: (explainFailure(error, client) as Error).message },
  );
  await printObject({ items }, format);
}

function findExitCode(outcomes: readonly Outcome<ApiTokenView, Rotation>[]): number {
  if (outcomes.some(({ error }) => error !== undefined)) return EXIT.failed;
  const states = outcomes.map(({ result }) => result?.state);
  if (states.includes("Stuck") || states.includes("Deleted")) return EXIT.differences;
  return states.includes("Late") ? EXIT.stopped : EXIT.done;
}
