/*
 * The commands that show what there is.
 */
import { z } from "zod";
import { defineCommand } from "../../runtime/command/declare.ts";
import { retentionSetting } from "../../runtime/config.ts";
import { CONNECTION_OPTIONS, outputOption, SCOPE_OPTIONS, SELECTOR_OPTION } from "../client/options.ts";

export const statusCommand = defineCommand({
  name: "status",
  summary: "show how an ApiToken is, why, and what to do; without a NAME, which of them need somebody",
  description: `Shows the verdict on an ApiToken first, then its token, policy and Secret, when the token is renewed and expires,
    whether the previous token is still used, the last Events, and the next command to type. It reads the resource and its
    Events, and no Secret.

    Without a NAME it counts the ApiTokens of the namespace (-A: of all), and lists those that are not Ready, those that end soon
    and are not renewed, and those whose previous token is still used.`,
  argument: { name: "NAME", help: "an ApiToken, or the id of a token in any namespace", isOptional: true },
  options: { ...SCOPE_OPTIONS, output: outputOption(["text", "json", "yaml", "name"]) },
  examples: [
    "kubectl apitoken status orders -n shop",
    "kubectl apitoken status -A",
    "kubectl apitoken status 8Yc3kQz0LmNa",
  ],
  exitCodes: { differences: "an ApiToken is not Ready" },
  run: async (context) => (await import("../look/status.ts")).runStatus(context),
});

export const listCommand = defineCommand({
  name: "list",
  summary: "list ApiTokens, by owner, expiry, use or state",
  description: "Lists the ApiTokens of a namespace, or of all. Several filters must all hold.",
  options: {
    ...SCOPE_OPTIONS,
    owner: { schema: z.string(), valueName: "OWNER", help: "only those of this owner; * stands for any text" },
    mine: { help: "only those whose owner you are, or that you have asked for" },
    expiring: {
      schema: retentionSetting,
      valueName: "TIME",
      help: "only those whose token ends within this time, such as 7d, and that are not renewed before",
    },
    unused: { schema: retentionSetting, valueName: "TIME", help: "only those that have not been used for this long" },
    "not-ready": { help: "only those that are not Ready" },
    selector: SELECTOR_OPTION,
    watch: { short: "w", help: "then print each change, until Ctrl-C" },
    output: outputOption(["text", "wide", "name", "json", "yaml"]),
  },
  examples: [
    "kubectl apitoken list -A --not-ready",
    "kubectl apitoken list --expiring 7d -o name",
    "kubectl apitoken list -A --owner 'shop/*' --unused 30d",
  ],
  run: async (context) => (await import("../look/list.ts")).runList(context),
});

export const explainCommand = defineCommand({
  name: "explain",
  summary: "explain a reason of a condition, an Event or an error code, without a cluster",
  description: `Prints the cause and the remedy of a reason, such as PolicyDenied, or of an error code, such as
    APITOKEN_E_USAGE. Without a REASON it lists all that this release knows. It asks no cluster.`,
  argument: { name: "REASON", help: "a reason or an error code, in any case", isOptional: true },
  options: { output: outputOption(["text", "json", "yaml", "name"]) },
  examples: ["kubectl apitoken explain SecretConflict"],
  run: async (context) => (await import("../look/explain.ts")).runExplain(context),
});

export const versionCommand = defineCommand({
  name: "version",
  summary: "print the versions of the plugin, the programs in the cluster and the CRDs",
  description: `Prints the version of the plugin, those of the operator's programs, and the API versions that the CRDs serve. What
    differs is reported, and is not an error.`,
  options: {
    ...CONNECTION_OPTIONS,
    client: { help: "only the plugin's; asks no cluster" },
    output: outputOption(["text", "json", "yaml"]),
  },
  run: async (context) => (await import("../look/version.ts")).runVersion(context),
});
