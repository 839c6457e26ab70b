/*
 * From options to the resource that is sent. The API server checks it: a second set of rules here would one day be another.
 */
import { API_VERSION } from "../../kube/resources/group.ts";

/** The options that describe an ApiToken. */
export interface SpecOptions {
  readonly owner: string | undefined;
  readonly scopes: readonly string[] | undefined;
  readonly duration: string | undefined;
  readonly "expires-at": string | undefined;
  readonly overlap: string | undefined;
  readonly description: string | undefined;
  readonly "allowed-cidrs": readonly string[] | undefined;
  readonly "secret-name": string | undefined;
  readonly key: string | undefined;
}

/** The ApiToken that these options ask for. */
export function buildApiToken(namespace: string, name: string, owner: string, options: SpecOptions) {
  const { scopes, duration, overlap, description } = options;
  const secret = withoutUndefined({ name: options["secret-name"], key: options.key });
  const spec = withoutUndefined({
    owner,
    scopes,
    duration,
    expiresAt: options["expires-at"],
    description,
    allowedCIDRs: options["allowed-cidrs"],
    rotation: overlap === undefined ? undefined : { overlap },
    secret: Object.keys(secret).length === 0 ? undefined : secret,
  });
  return { apiVersion: API_VERSION, kind: "ApiToken", metadata: { namespace, name }, spec };
}

function withoutUndefined(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
