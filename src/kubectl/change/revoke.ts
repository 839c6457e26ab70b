/*
 * `revoke`: ends the tokens of an ApiToken for good.
 */
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { formatDuration } from "../../token/duration.ts";
import { type ApiTokenView, conditionOf, reasonOf } from "../client/api-token.ts";
import { type Client, withClient } from "../client/client.ts";
import { confirm } from "../client/confirm.ts";
import { findApiToken } from "../client/find.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note, print, printObject } from "../client/output.ts";
import { waitFor } from "../client/wait.ts";

export type RevokeOptions = ConnectionOptions & {
  readonly reason: string | undefined;
  readonly yes: boolean;
  readonly "dry-run": boolean;
  readonly timeout: number;
  readonly output: "text" | "json" | "yaml" | "name";
};

/** `kubectl apitoken revoke`; returns its exit code. */
export function runRevoke(context: CommandContext<RevokeOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { options } = context;
    const token = await findApiToken(client, context.argument);
    const object = `${token.namespace}/${token.name}`;
    note(`${object}, owner ${token.owner}: ${wordTokens(token)}. A revocation is final, and the Secret is deleted.`);
    await revoke(client, token, options.reason, true);
    if (options["dry-run"]) {
      note("Dry run: nothing was revoked.");
      return EXIT.done;
    }
    if (!(await confirm(`Revoke ${object}?`, options.yes, client.stop))) return EXIT.stopped;
    await revoke(client, token, options.reason, false);
    const isEnded = (seen: ApiTokenView) => conditionOf(seen, "Revoked")?.status === "True" && seen.isObserved;
    const { outcome, token: last = token } = await waitFor(client, token, isEnded, options.timeout);
    await report(last, outcome, options);
    return outcome === "late" ? EXIT.stopped : EXIT.done;
  });
}

function wordTokens({ tokenId, previous }: ApiTokenView): string {
  if (tokenId === undefined) return "it has no token";
  return previous === undefined ? `its token is ${tokenId}` : `its tokens are ${tokenId} and ${previous.tokenId}`;
}

async function revoke({ transport }: Client, token: ApiTokenView, reason: string | undefined, isDryRun: boolean) {
  const { namespace, name, uid } = token;
  const spec = { revoked: true, ...(reason === undefined ? {} : { revocationReason: reason }) };
  await transport.request("PATCH", `${apiTokensPath(namespace)}/${name}`, {
    contentType: "application/merge-patch+json",
    query: isDryRun ? { dryRun: "All" } : {},
    body: { metadata: { uid }, spec },
  });
}

async function report(
  token: ApiTokenView,
  outcome: "done" | "late" | "deleted",
  options: RevokeOptions,
): Promise<void> {
  const { namespace, name } = token;
  const object = `${namespace}/${name}`;
  const state = outcome === "late" ? "Requested" : "Revoked";
  if (options.output === "name") return print(`apitoken.apitoken.dev/${name}`);
  if (options.output !== "text")
    return printObject({ namespace, name, state, reason: reasonOf(token) }, options.output);
  print(
    outcome === "late"
      ? `${object}: the revocation is requested, and not carried out after ${formatDuration(options.timeout)}; kubectl apitoken check controller`
      : `${object}: every token of it is revoked`,
  );
}
