/*
 * `reveal`: the one command that reads a Secret. The value is all that it writes to standard output.
 */
import { getSecret } from "../../kube/resources/secret-api.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { Fault } from "../../runtime/fault.ts";
import { RefusedError } from "../../runtime/program.ts";
import { joinWords, stripControls } from "../../runtime/text.ts";
import { isReady, reasonOf } from "../client/api-token.ts";
import { withClient } from "../client/client.ts";
import { objectMissing } from "../client/faults.ts";
import { findApiToken } from "../client/find.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note } from "../client/output.ts";

export type RevealOptions = ConnectionOptions & { readonly key: string | undefined };

/** `kubectl apitoken reveal`; returns its exit code. */
export function runReveal(context: CommandContext<RevealOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const token = await findApiToken(client, context.argument);
    const { namespace, name, secretName, secretKeys } = token;
    const object = `the Secret "${namespace}/${secretName}"`;
    const secret = await getSecret(client.transport, namespace, secretName);
    if (secret === undefined) throw objectMissing(object, `"kubectl apitoken status ${name} -n ${namespace}" says why`);
    if (!secret.metadata.ownerReferences?.some(({ uid }) => uid === token.uid)) {
      throw new RefusedError({
        faultCode: "APITOKEN_E_SECRET_FOREIGN",
        object,
        problem: `it does not belong to the ApiToken ${namespace}/${name}, so it is not shown`,
        remedy: `"kubectl apitoken status ${name} -n ${namespace}" says why`,
      });
    }
    const key = context.options.key ?? secretKeys[0] ?? "token";
    const value = secret.data?.[key];
    if (value === undefined) {
      throw new Fault({
        faultCode: "APITOKEN_E_OBJECT_MISSING",
        object,
        problem: `it has no key ${JSON.stringify(key)}`,
        remedy: `its keys are ${joinWords(Object.keys(secret.data ?? {}).map(stripControls), "and")}`,
      });
    }
    if (!isReady(token)) note(`${namespace}/${name} is not Ready (${reasonOf(token)}): the token may no longer work.`);
    process.stdout.write(Buffer.from(value, "base64"));
    // On a terminal the prompt would follow the value on the same line; in a pipe a line break would be part of it.
    if (process.stdout.isTTY) note("");
    return EXIT.done;
  });
}
