import { z } from "zod";
import type { Policy } from "../../token/policy.ts";
import { API_VERSION, type ObjectMeta } from "./group.ts";
import { describeProblems, durationField, readDuration, rules } from "./schema.ts";

const selectorSchema = z
  .object({
    matchLabels: z.record(z.string(), z.string()).optional().meta({ maxProperties: 32 }),
    matchExpressions: z
      .array(
        z.object({
          key: z.string().min(1).max(317),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
          values: z.array(z.string().max(63)).max(64).optional(),
        }),
      )
      .max(32)
      .optional(),
  })
  .meta({ description: "The namespaces that the policy is for, by their labels. An empty selector selects all." });

function globs(what: string) {
  return z
    .array(z.string().min(1).max(253))
    .max(128)
    .meta({
      description: `${what} Globs: * stands for any text, \${namespace} for the ApiToken's namespace. Default: all.`,
      "x-kubernetes-list-type": "set",
    });
}

/** The spec of an ApiTokenPolicy. */
export const policySpecSchema = z
  .object({
    priority: z.int().min(-1_000_000).max(1_000_000).default(0).meta({
      description: "Of the policies that select a namespace the one of highest priority applies, alone; then by name.",
    }),
    namespaceSelector: selectorSchema.prefault({}),
    owners: globs("Whom tokens may speak for.").default(["*"]),
    scopes: globs("What tokens may be used for.").default(["*"]),
    defaultDuration: durationField("10s")
      .default("720h")
      .meta({ description: "The lifetime of a token that asks for none." }),
    maxDuration: durationField("10s").default("720h").meta({ description: "No token lives longer: it is clamped." }),
    maxTokensPerOwner: z.int().min(1).max(100_000).default(1).meta({
      description: "How many live ApiTokens one owner may have.",
    }),
    onLimit: z.enum(["RevokeOldest", "Reject"]).default("RevokeOldest").meta({
      description: "Over the limit, whether the oldest ApiToken is revoked for good, or the newest waits.",
    }),
    limitScope: z.enum(["Cluster", "Database"]).default("Cluster").meta({
      description: "Where an owner's tokens are counted: in this cluster, or in all that share the database.",
    }),
    inactivityTimeout: durationField("1m").optional().meta({
      description: "Revokes tokens that have not been used for so long. An ApiToken may ask for less.",
    }),
    grace: z
      .object({ period: durationField("1s"), scopes: z.array(z.string().min(1).max(128)).min(1).max(64) })
      .optional()
      .meta({
        description:
          "For so long after its expiry a token is still accepted, for these scopes only: a long job can still be watched and cancelled.",
      }),
    warnBefore: durationField("0s").default("168h").meta({
      description: "A token that is not renewed is called ExpiringSoon so long before its end.",
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
