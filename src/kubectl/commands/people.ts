/*
 * The commands about the people and programs that tokens act for.
 */
import { z } from "zod";
import { defineCommand } from "../../runtime/command/declare.ts";
import { durationBetween } from "../../runtime/config.ts";
import { OWNER_MAX_LENGTH } from "../../token/owner.ts";
import { CONNECTION_OPTIONS, outputOption, SCOPE_OPTIONS } from "../client/options.ts";

const OWNER = { name: "OWNER", help: "the text in spec.owner, such as alice@example.com" };

export const ownerCommand = defineCommand({
  name: "owner",
  summary: "show everything of one owner, over all namespaces",
  description: "Lists the ApiTokens of an owner in all namespaces, and the OwnerBlocks on the owner.",
  argument: OWNER,
  options: { ...CONNECTION_OPTIONS, output: outputOption(["text", "wide", "name", "json", "yaml"]) },
  examples: ["kubectl apitoken owner alice@example.com"],
  run: async (context) => (await import("../people/owner.ts")).runOwner(context),
});

const timeOption = z
  .string()
  .refine((value) => !Number.isNaN(Date.parse(value)), "must be a time, such as 2030-12-31T23:59:59Z")
  .transform((value) => new Date(value).toISOString().replace(".000Z", "Z"));

export const offboardCommand = defineCommand({
  name: "offboard",
  summary: "end every token of an owner, at once or on a date, and issue no more",
  description: `Counts what the owner has, asks, and creates an OwnerBlock. While it exists, every token of the owner is revoked,
    and none is issued, in all clusters that share the database. To lift it, delete the OwnerBlock; revoked tokens stay revoked.`,
  argument: { ...OWNER, help: `${OWNER.help}, of at most ${OWNER_MAX_LENGTH} characters` },
  options: {
    ...CONNECTION_OPTIONS,
    at: { schema: timeOption, valueName: "TIME", help: "when, such as a leaving date (RFC 3339); by default at once" },
    erase: { help: "then also delete the owner's rows, and replace the name in the audit trail; cannot be undone" },
    reason: { schema: z.string(), valueName: "TEXT", help: "why; whoever can read the owner's ApiTokens sees it" },
    timeout: {
      schema: durationBetween(1_000, 86_400_000),
      valueName: "DURATION",
      default: "60s",
      help: "how long to wait for the controller",
    },
    yes: { short: "y", help: "do not ask" },
    "dry-run": { help: "show what would happen, and change nothing" },
    output: outputOption(["text", "json", "yaml", "name"]),
  },
  examples: [
    "kubectl apitoken offboard alice@example.com --at 2030-12-31T18:00:00Z",
    "kubectl apitoken offboard alice@example.com --dry-run",
  ],
  exitCodes: { stopped: "the block is not in effect yet, or you have declined" },
  run: async (context) => (await import("../people/offboard.ts")).runOffboard(context),
});

export const reviewCommand = defineCommand({
  name: "review",
  summary: "print a list of ApiTokens to go through, as CSV",
  description: `Prints owner, scopes, creation, expiry and last use of every ApiToken of the namespace (-A: of all), sorted by owner,
    for a periodic review.`,
  options: { ...SCOPE_OPTIONS, output: outputOption(["csv", "json", "yaml"]) },
  examples: ["kubectl apitoken review -A > review.csv"],
  run: async (context) => (await import("../people/review.ts")).runReview(context),
});
