import { z } from "zod";
import { DURATION_PATTERN, parseDuration } from "../../token/duration.ts";
import type { ApiTokenStatus, DesiredToken } from "../../token/model.ts";
import type { ParsedSpec } from "../../token/plan.ts";
import type { ObjectMeta } from "./group.ts";

/** CEL rules of a schema node, as the CRD carries them (KEP-2876). */
function rules(...list: { rule: string; message?: string; messageExpression?: string; fieldPath?: string }[]) {
  return { "x-kubernetes-validations": list };
}

const KEY_RULES = [
  {
    rule: "self.all(key, !format.qualifiedName().validate(key).hasValue())",
    message: "keys must be qualified names, such as team or example.com/team",
  },
  {
    rule: "self.all(key, !key.matches('^([^/]+[.])?(kubernetes[.]io|k8s[.]io)/|^apitoken[.]dev/'))",
    message: "keys of kubernetes.io/, k8s.io/ and apitoken.dev/ are reserved; use a prefix of your own",
  },
];

const LABEL_RULE = {
  rule: "self.all(key, !format.labelValue().validate(self[key]).hasValue())",
  message:
    "values must be label values: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
};

function decoration(what: string, maxLength: number, ...extraRules: { rule: string; message: string }[]) {
  return z
    .record(z.string(), z.string().max(maxLength))
    .meta({
      description: `Copied to the Secret's ${what}. Keys of kubernetes.io/, k8s.io/ and apitoken.dev/ are reserved.`,
      maxProperties: 32,
      ...rules(...KEY_RULES, ...extraRules),
    })
    .optional();
}

const secretSchema = z
  .object({
    name: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .meta({
        description: "Name of the Secret that the token is written to. Default: the name of the ApiToken.",
        ...rules({
          rule: "!format.dns1123Subdomain().validate(self).hasValue()",
          message: "must be a DNS subdomain name: lower case letters, digits, '-' and '.'",
        }),
      }),
    key: z
      .string()
      .min(1)
      .max(253)
      .default("token")
      .meta({
        description: "Key of the token in the Secret's data.",
        ...rules({
          rule: "self.matches('^[-._a-zA-Z0-9]+$')",
          message: "must consist of letters, digits, '-', '_' and '.'",
        }),
      }),
    labels: decoration("labels", 63, LABEL_RULE),
    annotations: decoration("annotations", 1024),
  })
  .meta({ description: "The Secret that holds the token. Its type is always Opaque." });

/**
 * The spec of an ApiToken: what `crds/` is generated from, and what the controller reads a spec with. Rules that need a
 * message with a remedy, or compare with the old object, are CEL and enforced by the API server alone.
 */
export const apiTokenSpecSchema = z
  .object({
    owner: z
      .string()
      .min(1)
      .max(253)
      .meta({
        description: "Whom the token speaks for. Required; cannot be changed: a token is bound to its owner for ever.",
        ...rules(
          {
            rule: "self == oldSelf",
            message: "cannot be changed: a token is bound to its owner for ever; create another ApiToken instead",
          },
          {
            rule: "self.matches('^[!-~]+$')",
            message: "must consist of visible ASCII characters without blanks, such as alice or team-a@example.com",
          },
        ),
      }),
    description: z.string().max(256).default("").meta({ description: "What the token is for." }),
    scopes: z
      .array(
        z
          .string()
          .min(1)
          .max(128)
          .meta(
            rules({
              rule: "self.matches('^[A-Za-z0-9][A-Za-z0-9._~*/-]*(:[A-Za-z0-9._~*/-]+)*$')",
              messageExpression:
                "'\"' + self + '\" is no scope: write letters, digits and . _ ~ * / - in parts joined by colons, such as orders:read'",
            }),
          ),
      )
      .max(64)
      .default([])
      .meta({ description: "What the token may be used for.", "x-kubernetes-list-type": "set" }),
    duration: z
      .string()
      .max(20)
      .optional()
      .meta({
        description:
          "How long the token lives, as a Go duration of at least 10s, such as 720h. Clamped to the maximum. Default: 720h.",
        ...rules({
          rule: `self.matches('${DURATION_PATTERN.replaceAll("\\", "\\\\")}') && duration(self) >= duration('10s')`,
          message: "must be a Go duration of at least 10s, such as 720h, 90m or 1h30m",
        }),
      }),
    expiresAt: z.iso.datetime({ offset: true }).optional().meta({
      description:
        "When the token ends (RFC 3339), instead of a duration. Clamped to the maximum lifetime; the token is not renewed.",
    }),
    secret: secretSchema.prefault({}),
    revoked: z.boolean().default(false).meta({ description: "true revokes the token. This is final." }),
    revocationReason: z.string().max(256).default("").meta({ description: "Why, for the audit trail." }),
    suspend: z.boolean().default(false).meta({
      description:
        "Pauses reconciliation, not the token: it stays valid. Revocation and deletion are carried out all the same.",
    }),
  })
  .meta({
    description: "What token is wanted.",
    ...rules(
      { rule: "has(self.owner)", message: "owner is missing: say whom the token speaks for, such as owner: alice" },
      {
        rule: "!(has(self.duration) && has(self.expiresAt))",
        message: "duration and expiresAt exclude each other: remove one of them",
      },
      {
        rule: "!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",
        message: "revoked cannot be set back: a revocation is final; create another ApiToken instead",
      },
    ),
  });

/** An ApiToken as the API server gives it. The spec is read by `parseSpec` only. */
export interface ApiToken {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly spec: unknown;
  readonly status?: ApiTokenStatus;
}

/**
 * Reads an ApiToken's spec. The API server has checked it against the CRD, but perhaps against another version of it:
 * what cannot be read is said, field by field.
 */
export function parseSpec(resource: ApiToken): ParsedSpec {
  const result = apiTokenSpecSchema.safeParse(resource.spec);
  if (!result.success) {
    const problems = result.error.issues.map((issue) => `spec.${issue.path.join(".")}: ${issue.message}`);
    return { problem: `${problems.join("; ")}. Correct the spec, and check that the CRD fits this controller.` };
  }
  try {
    return { desired: toDesired(result.data, resource.metadata.name) };
  } catch (error) {
    return { problem: `spec.duration: ${(error as Error).message}` };
  }
}

function toDesired(spec: z.infer<typeof apiTokenSpecSchema>, resourceName: string): DesiredToken {
  return {
    owner: spec.owner,
    description: spec.description,
    scopes: spec.scopes,
    lifetime: spec.expiresAt
      ? { kind: "fixed", expiresAt: new Date(spec.expiresAt) }
      : spec.duration
        ? { kind: "duration", durationMs: parseDuration(spec.duration) }
        : { kind: "default" },
    secret: {
      name: spec.secret.name ?? resourceName,
      key: spec.secret.key,
      labels: spec.secret.labels ?? {},
      annotations: spec.secret.annotations ?? {},
    },
    isRevoked: spec.revoked,
    revocationReason: spec.revocationReason,
    isSuspended: spec.suspend,
  };
}

/** Strips what is of no use here and fills memory: managedFields, and kubectl's copy of the applied object. */
export function reduceApiToken(raw: unknown): ApiToken {
  const resource = raw as ApiToken;
  const { managedFields: _, ...metadata } = resource.metadata as ApiToken["metadata"] & { managedFields?: unknown };
  if (metadata.annotations?.[LAST_APPLIED] !== undefined) {
    const { [LAST_APPLIED]: __, ...annotations } = metadata.annotations;
    return { metadata: { ...metadata, annotations }, spec: resource.spec, ...status(resource) };
  }
  return { metadata, spec: resource.spec, ...status(resource) };
}

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

function status(resource: ApiToken): Pick<ApiToken, "status"> {
  return resource.status === undefined ? {} : { status: resource.status };
}
