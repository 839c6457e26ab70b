/*
 * The command line of `verifier`.
 */
import { z } from "zod";
import { defineCommand, OUTPUT_OPTION } from "../runtime/command/declare.ts";
import { durationBetween, listSetting, tokenPrefixSetting } from "../runtime/config.ts";
import { DEFAULT_PREFIX } from "../token/token-string.ts";
import { verifierEnvironment } from "./config.ts";

const DAY_MS = 86_400_000;

const breakGlassCommand = defineCommand({
  name: "break-glass",
  summary: "make a token that works without the database",
  description: `Makes a token for emergencies, and prints it with its entry for the file that APITOKEN_VERIFIER_BREAK_GLASS_FILE
    names. The entry has only a hash. The token is shown once and stored nowhere: put it into a safe.

    It needs no settings, and connects to nothing.`,
  argument: { name: "NAME", help: "what the token is for, as logs and X-Auth-Name show it" },
  options: {
    owner: { schema: z.string().min(1).max(253), valueName: "OWNER", help: "who it acts for (default: the name)" },
    scopes: { schema: listSetting, valueName: "LIST", default: "", help: "its scopes, separated by commas" },
    "expires-in": {
      schema: durationBetween(1_000, 400 * DAY_MS),
      valueName: "DURATION",
      default: "2160h",
      help: "how long it works: at most 9600h",
    },
    prefix: {
      schema: tokenPrefixSetting,
      valueName: "PREFIX",
      default: DEFAULT_PREFIX,
      help: "what the token begins with: the installation's APITOKEN_PREFIX",
    },
    output: OUTPUT_OPTION,
  },
  examples: ["verifier break-glass on-call --scopes orders:read,orders:write"],
  run: async (context) => (await import("./break-glass/command.ts")).makeBreakGlassToken(context),
});

export const verifierCommand = defineCommand({
  name: "verifier",
  summary: "say whether API tokens are good, to gateways and backends",
  description: `Says whether API tokens are good: to gateways that ask before they pass a request on (/verify), and to backends
    (/introspect, RFC 7662). It keeps the tokens in memory, hears of every change in the database at once, and serves
    the tokens that it knows while the database does not answer.

    The database login must be a member of the role apitoken_verifier.`,
  commands: [breakGlassCommand],
  settings: verifierEnvironment,
  examples: ["APITOKEN_KEYRING_FILE=keyring.json DATABASE_URL=postgres://db/tokens verifier"],
  exitCodes: { done: "stopped by SIGTERM or SIGINT", failed: "failed, or did not stop in time" },
  run: async (context) => (await import("./run.ts")).runVerifier(context),
});
