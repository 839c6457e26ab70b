/*
 * The options that the plugin's commands share. They are kubectl's own, with kubectl's names, so that nobody has to learn
 * them twice.
 */
import { z } from "zod";
import type { OptionValues, ValueDeclaration } from "../../runtime/command/declare.ts";
import { durationBetween, oneOf } from "../../runtime/config.ts";

const text = z.string();

/** Which cluster and namespace a command works on, and as whom. */
export const CONNECTION_OPTIONS = {
  namespace: {
    short: "n",
    schema: text.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "is not the name of a namespace"),
    valueName: "NAMESPACE",
    help: "the namespace; by default that of the context",
  },
  context: { schema: text, valueName: "NAME", help: "the context of the kubeconfig; by default the current one" },
  kubeconfig: { schema: text, valueName: "FILE", help: "the kubeconfig; by default the one that kubectl uses" },
  as: { schema: text, valueName: "USER", help: "act as this user, if you may impersonate" },
  "request-timeout": {
    schema: durationBetween(1_000, 3_600_000),
    valueName: "DURATION",
    default: "10s",
    help: "how long to wait for each answer of the API server",
  },
} as const satisfies Readonly<Record<string, ValueDeclaration>>;

export type ConnectionOptions = OptionValues<typeof CONNECTION_OPTIONS>;

/** For commands that can look at more than one namespace. */
export const SCOPE_OPTIONS = {
  ...CONNECTION_OPTIONS,
  "all-namespaces": { short: "A", help: "look at all namespaces" },
} as const;

export type ScopeOptions = OptionValues<typeof SCOPE_OPTIONS>;

/** The option -o of a command that has these forms of output; the first is the default. */
export function outputOption<const Formats extends readonly [string, ...string[]]>(formats: Formats) {
  return {
    short: "o",
    schema: oneOf(formats),
    valueName: "FORMAT",
    default: formats[0],
    help: `${formats.join(", ")}; docs/kubectl.md describes the fields`,
  } as const;
}

/** A label selector, as kubectl takes it. */
export const SELECTOR_OPTION = {
  short: "l",
  schema: text,
  valueName: "SELECTOR",
  help: "only ApiTokens with these labels, such as team=shop",
} as const satisfies ValueDeclaration;
