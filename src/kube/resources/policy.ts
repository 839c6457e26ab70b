import { z } from "zod";
import type { Policy } from "../../token/policy.ts";
import { KubeApiError } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { API_VERSION, type ObjectMeta } from "./group.ts";
import { describeProblems, durationField, readDuration, rules } from "./schema.ts";

const selectorSchema = z
  .object({
    matchLabels: z.record(z.string(), z.string()).optional().meta({
      description: "Labels that the namespace must have, with these values: all of them, at most 32.",
      maxProperties: 32,
    }),
    matchExpressions: z
      .array(
        z.object({
          key: z.string().min(1).max(317).meta({ description: "The label's key." }),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]).meta({
            description:
              "In: the label has one of the values. NotIn: it has none of them, or is not there. Exists, DoesNotExist: it is there, or not, whatever the values.",
          }),
          values: z
            .array(z.string().max(63))
            .max(64)
            .optional()
            .meta({ description: "Values for In and NotIn, at most 64. Without any, In selects nothing." }),
        }),
      )
      .max(32)
      .optional()
      .meta({ description: "Conditions on the namespace's labels: all of them must hold, at most 32." }),
  })
  .meta({
    description:
      "The namespaces that the policy is for, by their labels; matchLabels and matchExpressions must both hold. An empty selector selects all.",
  });

function globs(what: string) {
  return z
    .array(z.string().min(1).max(253))
    .max(128)
    .meta({
      description: `${what} Globs, at most 128: * stands for any text, \${namespace} for the ApiToken's namespace. An ApiToken that asks for more is denied, and its tokens are revoked (reason PolicyDenied). An empty list allows none.`,
      "x-kubernetes-list-type": "set",
    });
}

/** The spec of an ApiTokenPolicy. */
export const policySpecSchema = z
  .object({
    priority: z.int().min(-1_000_000).max(1_000_000).default(0).meta({
      description:
        "Of the policies that select a namespace the one of highest priority applies, alone; of equal ones the first by name. From -1000000 to 1000000.",
    }),
    namespaceSelector: selectorSchema.prefault({}),
    owners: globs("Whom tokens may speak for (spec.owner of an ApiToken).").default(["*"]),
    scopes: globs("What tokens may be used for (each of spec.scopes).").default(["*"]),
    defaultDuration: durationField("10s").default("720h").meta({
      description:
        "The lifetime of tokens whose ApiToken asks for none, as a Go duration of at least 10s. Not longer than maxDuration.",
    }),
    maxDuration: durationField("10s").default("720h").meta({
      description:
        "The longest lifetime of a token, as a Go duration of at least 10s. What asks for more is cut to it (condition LifetimeClamped). A lower maximum shortens tokens that live: what is older ends at once.",
    }),
    maxTokensPerOwner: z.int().min(1).max(100_000).default(1).meta({
      description:
        "How many ApiTokens with a live token one owner may have, from 1 to 100000. Counted in the transaction that issues. A previous token in its overlap does not count.",
    }),
    onLimit: z.enum(["RevokeOldest", "Reject"]).default("RevokeOldest").meta({
      description:
        "Which ApiToken yields over the limit. RevokeOldest: the one that was created first, for good (reason Superseded). Reject: the newest waits until another is gone (reason OwnerLimitExceeded).",
    }),
    limitScope: z.enum(["Cluster", "Database"]).default("Cluster").meta({
      description:
        "Where an owner's ApiTokens are counted: Cluster is this one, Database is all that share the database.",
    }),
    inactivityTimeout: durationField("1m").optional().meta({
      description:
        "Revokes tokens that nobody has used for so long, as a Go duration of at least 1m. An ApiToken may ask for less. Default: never.",
    }),
    grace: z
      .object({
        period: durationField("1s").meta({
          description: "How long after its expiry, as a Go duration of at least 1s.",
        }),
        scopes: z.array(z.string().min(1).max(128)).min(1).max(64).meta({
          description: "The scopes that the token keeps of its own in that time, by their exact names: 1 to 64.",
        }),
      })
      .optional()
      .meta({
        description:
          "For so long after its expiry a token is still accepted by those who verify it, for these scopes only: a long job can still be watched and cancelled. A revoked token has no grace. Default: none.",
      }),
    warnBefore: durationField("0s").default("168h").meta({
      description:
        "How long before its end a token that is not renewed has the condition ExpiringSoon, as a Go duration. 0s: never.",
    }),
  })
  .meta({
    description: "What ApiTokens in the selected namespaces may ask for.",
    ...rules({
      rule: "duration(self.defaultDuration) <= duration(self.maxDuration)",
      message: "defaultDuration is longer than maxDuration: lower the one or raise the other",
    }),
  });

/** An ApiTokenPolicy as the API server gives it. */
export interface PolicyResource {
  readonly metadata: ObjectMeta;
  readonly spec: unknown;
}

/** Where ApiTokenPolicies are listed. */
export const POLICIES_PATH = `/apis/${API_VERSION}/apitokenpolicies`;

/** Takes of an ApiTokenPolicy, as it comes in, what is worth keeping. */
export function reducePolicy(raw: unknown): PolicyResource {
  const { metadata, spec } = raw as PolicyResource;
  const { name, uid, resourceVersion } = metadata;
  return { metadata: { name, uid, resourceVersion }, spec };
}

/** Without the CRD there are none: what is to be ended must not wait for it to come back. */
export async function listPolicies(transport: KubeTransport): Promise<PolicyResource[]> {
  try {
    const { items } = await transport.request<{ items: unknown[] }>("GET", POLICIES_PATH);
    return items.map(reducePolicy);
  } catch (error) {
    if (error instanceof KubeApiError && error.code === 404) return [];
    throw error;
  }
}

/** Reads a policy. Throws an Error that names the policy, the field and the fault. */
export function parsePolicy({ metadata: { name }, spec }: PolicyResource): Policy {
  const result = policySpecSchema.safeParse(spec);
  try {
    if (!result.success) throw new Error(describeProblems(result.error));
    return toPolicy(name, result.data);
  } catch (error) {
    throw new Error(`ApiTokenPolicy "${name}": ${(error as Error).message}`);
  }
}

function toPolicy(name: string, spec: z.infer<typeof policySpecSchema>): Policy {
  const { priority, namespaceSelector, owners, scopes, inactivityTimeout, grace } = spec;
  return {
    name,
    priority,
    namespaceSelector,
    owners,
    scopes,
    lifetime: {
      defaultMs: readDuration("defaultDuration", spec.defaultDuration),
      maxMs: readDuration("maxDuration", spec.maxDuration),
    },
    owner: { max: spec.maxTokensPerOwner, onLimit: spec.onLimit, scope: spec.limitScope },
    inactivityTimeoutMs:
      inactivityTimeout === undefined ? undefined : readDuration("inactivityTimeout", inactivityTimeout),
    grace: grace && { periodMs: readDuration("grace.period", grace.period), scopes: grace.scopes },
    warnBeforeMs: readDuration("warnBefore", spec.warnBefore),
  };
}
