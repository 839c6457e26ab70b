/*
 * ApiTokenPolicy: its schema, and how it is read. What it decides is in src/token/policy.ts.
 */
import { z } from "zod";
import type { Grace } from "../../token/model.ts";
import type { Policy } from "../../token/policy.ts";
import type { PolicyStatus, ReadPolicy } from "../../token/policy-status.ts";
import type { Fields } from "../json-fields.ts";
import { API_VERSION, IDENTITY_FIELDS, type ObjectMeta } from "./group.ts";
import {
  describeProblems,
  durationField,
  isDuration,
  isScope,
  rateLimitField,
  readDuration,
  readRateLimit,
  rules,
  scopeField,
  withRemedy,
} from "./schema.ts";

const selectorSchema = z
  .object({
    matchLabels: z
      .record(z.string(), z.string().meta({ maxLength: 63 }))
      .optional()
      .meta({
        description:
          "Labels that the namespace must have, with exactly these values: at most 32, and all must match. Default: none.",
        maxProperties: 32,
      }),
    matchExpressions: z
      .array(
        z.object({
          key: z.string().min(1).max(317).meta({ description: "Key of the label, such as team." }),
          operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]).meta({
            description:
              "In: the label has one of the values. NotIn: it has none of them, or does not exist. Exists: it exists, with any value. DoesNotExist: it does not exist.",
          }),
          values: z.array(z.string().max(63)).max(64).optional().meta({
            description:
              "Values for In and NotIn: at most 64, each of at most 63 characters. Without any, In selects nothing. Default: none.",
          }),
        }),
      )
      .max(32)
      .optional()
      .meta({ description: "Conditions on the namespace's labels: at most 32, and all must hold. Default: none." }),
  })
  .meta({
    description:
      "Which namespaces the policy is for, by their labels; matchLabels and matchExpressions must both hold. Default: an empty selector, which selects all namespaces.",
  });

/** Owners and scopes consist of these characters, so a glob with others can match none of them. */
const GLOB_RULE = {
  rule: "self.matches('^[!-~]+$')",
  message: "must consist of visible ASCII characters without spaces, such as ${namespace}/*",
};

function globs(what: string) {
  return z
    .array(z.string().min(1).max(253).meta(rules(GLOB_RULE)))
    .max(128)
    .meta({
      description: `${what} At most 128 globs, each of at most 253 characters: * stands for any text, \${namespace} for the ApiToken's namespace. An ApiToken that asks for anything else is denied, and its tokens are revoked (reason PolicyDenied). An empty list allows nothing. Default: *, which allows everything.`,
      "x-kubernetes-list-type": "set",
    });
}

/** A year. The database counts a grace in seconds that must fit into an integer. */
const LONGEST_GRACE = "8760h";

export const policySpecSchema = z
  .object({
    priority: z.int().min(-1_000_000).max(1_000_000).default(0).meta({
      description:
        "Among the policies that select a namespace, only the one with the highest priority applies; among equal ones, the first by name. From -1000000 to 1000000. Default: 0.",
    }),
    namespaceSelector: selectorSchema.prefault({}),
    owners: globs("Owners that tokens may act for (spec.owner of ApiTokens), such as ${namespace}/*.").default(["*"]),
    scopes: globs("Scopes that tokens may have (spec.scopes of ApiTokens), such as orders:*.").default(["*"]),
    defaultDuration: durationField("10s").default("720h").meta({
      description:
        "Lifetime of tokens whose ApiToken sets neither duration nor expiresAt, as a Go duration from 10s to 876000h. Must not be longer than maxDuration. Default: 720h.",
    }),
    maxDuration: durationField("10s").default("720h").meta({
      description:
        "The longest lifetime of a token, as a Go duration from 10s to 876000h. Longer requests are cut to it (condition LifetimeClamped). Lowering it also shortens existing tokens, unless they are suspended; those that are already older end at once. Default: 720h.",
    }),
    maxTokensPerOwner: z.int().min(1).max(100_000).default(1).meta({
      description:
        "How many ApiTokens with a token that works one owner may have, from 1 to 100000: live, in its overlap, or in its grace. Counted in the transaction that issues a token. Default: 1.",
    }),
    onLimit: z.enum(["RevokeOldest", "Reject"]).default("RevokeOldest").meta({
      description:
        "Which ApiToken yields when there are more than maxTokensPerOwner. RevokeOldest: the one that was created first loses its token for good (reason Superseded). Reject: the newest waits until another is gone (reason OwnerLimitExceeded). Default: RevokeOldest.",
    }),
    limitScope: z.enum(["Cluster", "Database"]).default("Cluster").meta({
      description:
        "Where an owner's ApiTokens are counted. Cluster: in this cluster. Database: in all clusters that share the database. Default: Cluster.",
    }),
    inactivityTimeout: durationField("1m").optional().meta({
      description:
        "Revokes tokens that have not been used for this long, as a Go duration from 1m to 876000h, such as 720h. An ApiToken may set a shorter one. Default: never.",
    }),
    grace: z
      .object({
        period: durationField("1s", LONGEST_GRACE).meta({
          description:
            "How long after its expiry the token is still accepted, as a Go duration from 1s to 8760h, such as 1h. Rounded up to whole seconds.",
        }),
        scopes: z.array(scopeField()).min(1).max(64).meta({
          description:
            "Which of its own scopes the token keeps in that time, by their exact names: 1 to 64, such as jobs:cancel.",
        }),
      })
      .optional()
      .meta({
        description:
          "For a time after its expiry whoever verifies a token still accepts it, for these scopes only, so that a long job can still be watched and cancelled. A revoked token has no grace. Default: none.",
      }),
    rateLimit: rateLimitField().optional().meta({
      description:
        "How often each token may be used. Verifiers answer requests beyond it with 429 and Retry-After; each verifier counts for itself. An ApiToken may set a lower limit. A change applies to existing tokens, unless they are suspended. Default: no limit.",
    }),
    rotation: z
      .object({
        minRequestInterval: durationField("0s").default("1m").meta({
          description:
            "The least time between two rotations that somebody requests with the annotation apitoken.dev/rotate-requested-at, as a Go duration. The first request is carried out at once. A later one waits until the token is this old: status.renewAt and the condition Ready show when that is. Default: 1m.",
        }),
      })
      .prefault({})
      .meta({ description: "How often rotations may be requested." }),
    warnBefore: durationField("0s").default("168h").meta({
      description:
        "How long before its end a token that will not be renewed gets the condition ExpiringSoon, as a Go duration. 0s turns the warning off. Default: 168h.",
    }),
  })
  .meta({
    description: "What ApiTokens in the selected namespaces may ask for.",
    ...rules({
      // A rule that cannot be evaluated would keep a stored policy that is invalid from getting a status.
      rule: `!${isDuration("self.defaultDuration")} || !${isDuration("self.maxDuration")} || duration(self.defaultDuration) <= duration(self.maxDuration)`,
      message: "defaultDuration is longer than maxDuration: lower the former or raise the latter",
    }),
  });

/** An ApiTokenPolicy as the API server returns it. */
export interface PolicyResource {
  readonly metadata: ObjectMeta;
  readonly spec: unknown;
  readonly status?: PolicyStatus;
}

/** The path of all ApiTokenPolicies. */
export const POLICIES_PATH = `/apis/${API_VERSION}/apitokenpolicies`;

/** What is read of a large ApiTokenPolicy. */
export const POLICY_FIELDS: Fields = { metadata: IDENTITY_FIELDS, spec: "whole", status: "whole" };

/** Keeps only what the program reads of an ApiTokenPolicy. */
export function reducePolicy(raw: unknown): PolicyResource {
  const { metadata, spec, status } = raw as PolicyResource;
  const { name, uid, resourceVersion, generation } = metadata;
  return {
    metadata: { name, uid, resourceVersion, ...(generation === undefined ? {} : { generation }) },
    spec,
    ...(status === undefined ? {} : { status }),
  };
}

/** Reads a policy. The problem names each invalid field, its fault and the remedy. */
export function readPolicySpec({ metadata: { name }, spec }: PolicyResource): ReadPolicy {
  const result = policySpecSchema.safeParse(spec);
  if (!result.success) return { name, problem: describeProblems(result.error) };
  try {
    return { name, policy: toPolicy(name, result.data) };
  } catch (error) {
    return { name, problem: withRemedy((error as Error).message) };
  }
}

/** Reads a policy. Throws an Error that names the policy as well as the problem. */
export function parsePolicy(resource: PolicyResource): Policy {
  const { name, policy, problem } = readPolicySpec(resource);
  if (policy === undefined) throw new Error(`ApiTokenPolicy "${name}": ${problem}`);
  return policy;
}

function toPolicy(name: string, spec: z.infer<typeof policySpecSchema>): Policy {
  const { priority, namespaceSelector, owners, scopes, inactivityTimeout, grace, rateLimit } = spec;
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
    grace: grace && toGrace(grace),
    rateLimit: rateLimit && readRateLimit(rateLimit),
    minRequestIntervalMs: readDuration("rotation.minRequestInterval", spec.rotation.minRequestInterval),
    warnBeforeMs: readDuration("warnBefore", spec.warnBefore),
  };
}

/**
 * In whole seconds, as rows store it: otherwise each pass would see a difference between the two and write the row again.
 * No token has a scope that is not valid, so leaving those out changes nothing.
 */
function toGrace({ period, scopes }: { period: string; scopes: readonly string[] }): Grace | undefined {
  const periodMs = Math.ceil(readDuration("grace.period", period, LONGEST_GRACE) / 1_000) * 1_000;
  const possible = scopes.filter(isScope);
  return possible.length === 0 || periodMs === 0 ? undefined : { periodMs, scopes: possible };
}
