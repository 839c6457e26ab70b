/*
 * What the e2e's application answers with, and whether that is right: it must have been given the identity of the token that the
 * caller has shown, and nothing that the caller has made up.
 */
import { IDENTITY_HEADERS } from "../support/verifier/identity.ts";

/** What has reached the application of one request. */
export interface AppAnswer {
  /** Whatever looks like a header of the verifier, by `identityOf`. */
  readonly identity: readonly (readonly [name: string, value: string])[];
  /** Whether it was given the token, which it does not need. */
  readonly hasToken: boolean;
}

/** The ApiToken of the token that the caller has shown. */
export interface ShownToken {
  readonly namespace: string;
  readonly name: string;
  /** Separated by spaces. */
  readonly scopes: string;
}

const FORGED = "forged";

/** What the caller sends with every request: the verifier's headers, and others that an application could take for them. */
export const FORGED_HEADERS: Readonly<Record<string, string>> = Object.fromEntries(
  IDENTITY_HEADERS.flatMap((name) => [`X-Auth-${name}`, `X_Auth_${name.replace("-", "_")}`, `X.Auth.${name}`]).map(
    (name) => [name, FORGED],
  ),
);

/** A header that the application was not given. */
const NONE = "none";

/** What is wrong with an answer of the application; undefined if nothing is. */
export function findFault(
  { identity, hasToken }: AppAnswer,
  { namespace, name, scopes }: ShownToken,
): string | undefined {
  if (hasToken) return "the application was given the token";
  if (identity.some(([, value]) => value === FORGED))
    return `forged headers reached the application: ${show(identity)}`;
  const seen = new Map(identity);
  const wanted = {
    "x-auth-owner": `${namespace}/${name}`,
    "x-auth-namespace": namespace,
    "x-auth-name": name,
    "x-auth-scopes": scopes || NONE,
  };
  for (const [header, value] of Object.entries(wanted)) {
    const got = seen.get(header) ?? NONE;
    if (got !== value) return `${header} is ${got} instead of ${value}`;
  }
  const missing = ["x-auth-token-id", "x-auth-expires-at", "x-auth-token-state"].filter((header) => !seen.has(header));
  if (missing.length > 0) return `the application was not given ${missing.join(", ")}`;
  return identity.length === seen.size ? undefined : `the application was given a header twice: ${show(identity)}`;
}

const show = (identity: AppAnswer["identity"]) => identity.map(([name, value]) => `${name}: ${value}`).join(", ");
