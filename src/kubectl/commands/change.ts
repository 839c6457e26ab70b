/*
 * The commands that change something, and the one that shows what is secret.
 */
import { z } from "zod";
import { defineCommand } from "../../runtime/command/declare.ts";
import { durationBetween, listSetting } from "../../runtime/config.ts";
import { CONNECTION_OPTIONS, outputOption, SCOPE_OPTIONS, SELECTOR_OPTION } from "../client/options.ts";

const text = z.string();

const NAME = { name: "NAME", help: "an ApiToken, or the id of a token in any namespace" };

const SPEC_OPTIONS = {
  owner: {
    schema: text,
    valueName: "OWNER",
    help: "who the token acts for; by default NAMESPACE/NAME, or you where people may act only for themselves",
  },
  scopes: {
    schema: listSetting,
    valueName: "LIST",
    help: "what the token may be used for, such as orders:read,orders:cancel",
  },
  duration: {
    schema: text,
    valueName: "DURATION",
    help: "lifetime of each token, such as 720h; by default the policy's",
  },
  "expires-at": {
    schema: text,
    valueName: "TIME",
    help: "a fixed end (RFC 3339) instead of a lifetime; no renewal follows",
  },
  overlap: {
    schema: text,
    valueName: "DURATION",
    help: "how long the previous token works after a rotation; by default 1h",
  },
  description: { schema: text, valueName: "TEXT", help: "what the token is for" },
  "allowed-cidrs": {
    schema: listSetting,
    valueName: "LIST",
    help: "networks that it may be used from, such as 10.0.0.0/8",
  },
  "secret-name": { schema: text, valueName: "NAME", help: "the Secret; by default the ApiToken's name" },
  key: { schema: text, valueName: "KEY", help: "the key in the Secret; by default token" },
} as const;

const YES = { yes: { short: "y", help: "do not ask" } } as const;
const DRY_RUN = { "dry-run": { help: "show what would happen, and change nothing" } } as const;
const TIMEOUT = {
  timeout: {
    schema: durationBetween(1_000, 86_400_000),
    valueName: "DURATION",
    default: "60s",
    help: "how long to wait for the controller",
  },
} as const;

const RESULT = outputOption(["text", "json", "yaml", "name"]);

export const createCommand = defineCommand({
  name: "create",
  summary: "create an ApiToken, and wait until its Secret holds a token",
  description: `Tries the ApiToken out on the API server first, and says what the policy will do with it: which lifetime the token
    gets, whether it is denied, and whether another ApiToken of the owner ends for it. Then it creates the ApiToken, and waits
    until its Secret holds a token.`,
  argument: { name: "NAME", help: "the ApiToken's name" },
  options: {
    ...CONNECTION_OPTIONS,
    ...SPEC_OPTIONS,
    ...YES,
    ...DRY_RUN,
    "no-wait": { help: "do not wait" },
    ...TIMEOUT,
    output: RESULT,
  },
  examples: [
    "kubectl apitoken create orders -n shop --scopes orders:read --duration 168h",
    "kubectl apitoken create orders --dry-run > orders.yaml",
  ],
  exitCodes: {
    refused: "the policy would give it no token, so nothing was created",
    stopped: "the controller is not done yet, or you have declined",
    differences: "it was created, and is not Ready",
  },
  run: async (context) => (await import("../change/create.ts")).runCreate(context),
});

export const canICommand = defineCommand({
  name: "can-i",
  summary: "say whether an ApiToken would get a token here, and what the policy would make of it",
  description: `Tries an ApiToken out on the API server and on the ApiTokenPolicies that you may read. It creates nothing. It takes
    the options of create.`,
  argument: { name: "NAME", help: "the name that the ApiToken would have", isOptional: true },
  options: { ...CONNECTION_OPTIONS, ...SPEC_OPTIONS, output: outputOption(["text", "json", "yaml"]) },
  examples: ["kubectl apitoken can-i -n shop --owner shop/orders --duration 8760h"],
  exitCodes: { differences: "it would get no token" },
  run: async (context) => (await import("../change/can-i.ts")).runCanI(context),
});

export const rotateCommand = defineCommand({
  name: "rotate",
  summary: "request the next token of an ApiToken, or of several",
  description: `Requests a rotation. The controller writes the next token into the Secret, and the previous one keeps working for
    the overlap; "kubectl apitoken status NAME" shows whether it is still used. Several ApiTokens are listed and counted first.`,
  argument: { ...NAME, isOptional: true },
  options: {
    ...SCOPE_OPTIONS,
    selector: SELECTOR_OPTION,
    all: { help: "all of the namespace; with -A, of the cluster" },
    wait: { help: "wait until the Secret holds the next token" },
    ...TIMEOUT,
    ...YES,
    ...DRY_RUN,
    output: RESULT,
  },
  examples: ["kubectl apitoken rotate orders --wait", "kubectl apitoken rotate -l team=shop -A --yes"],
  exitCodes: {
    stopped: "with --wait, the controller is not done yet; or you have declined",
    differences: "with --wait, an ApiToken cannot be rotated in its present state",
  },
  run: async (context) => (await import("../change/rotate.ts")).runRotate(context),
});

export const revokeCommand = defineCommand({
  name: "revoke",
  summary: "end the tokens of an ApiToken for good",
  description: `Revokes the current and the previous token at once. This is final: to get another token, create another ApiToken.
    It asks first, and waits until the controller has carried it out.`,
  argument: NAME,
  options: {
    ...CONNECTION_OPTIONS,
    reason: { schema: text, valueName: "TEXT", help: "why, for the condition and the audit trail" },
    ...TIMEOUT,
    ...YES,
    ...DRY_RUN,
    output: RESULT,
  },
  examples: ['kubectl apitoken revoke orders --reason "found in a log"', "kubectl apitoken revoke 8Yc3kQz0LmNa --yes"],
  exitCodes: { stopped: "the controller is not done yet, or you have declined" },
  run: async (context) => (await import("../change/revoke.ts")).runRevoke(context),
});

export const revealCommand = defineCommand({
  name: "reveal",
  summary: "print the token of an ApiToken, or another key of its Secret",
  description: `Reads the Secret and prints the value of one key, and nothing else, to standard output. It is the only command
    that reads a Secret, and needs the right to.`,
  argument: NAME,
  options: {
    ...CONNECTION_OPTIONS,
    key: { schema: text, valueName: "KEY", help: "the key; by default that of the token" },
  },
  examples: ['curl -H "authorization: Bearer $(kubectl apitoken reveal orders)" https://…'],
  exitCodes: { refused: "the Secret does not belong to the ApiToken, so it is not shown" },
  run: async (context) => (await import("../change/reveal.ts")).runReveal(context),
});
