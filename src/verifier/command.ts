/*
 * The command line of `verifier`.
 */
import { defineCommand } from "../runtime/command/declare.ts";
import { verifierEnvironment } from "./config.ts";

export const verifierCommand = defineCommand({
  name: "verifier",
  summary: "say whether API tokens are good, to gateways and backends",
  description: `Says whether API tokens are good: to gateways that ask before they pass a request on (/verify), and to backends
    (/introspect, RFC 7662). It keeps the tokens in memory, hears of every change in the database at once, and serves
    the tokens that it knows while the database does not answer.

    The database login must be a member of the role apitoken_verifier.`,
  settings: verifierEnvironment,
  examples: ["APITOKEN_KEYRING_FILE=keyring.json DATABASE_URL=postgres://db/tokens verifier"],
  exitCodes: { done: "stopped by SIGTERM or SIGINT", failed: "failed, or did not stop in time" },
  run: async (context) => (await import("./run.ts")).runVerifier(context),
});
