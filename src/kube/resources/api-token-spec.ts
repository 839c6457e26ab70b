import { z } from "zod";
import { durationField, rules, SECRET_KEY_RULE, TEXT_RULE, timeField } from "./schema.ts";

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
        ...rules(SECRET_KEY_RULE),
      }),
    data: z
      .record(z.string(), z.string().max(4096))
      .meta({
        description:
          "Further keys of the Secret, each with a template of its value: ${token}, ${tokenId}, ${owner} and ${expiresAt} are filled in.",
        maxProperties: 16,
        ...rules({
          rule: "self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$') && key != '.' && !key.startsWith('..'))",
          message: `keys ${SECRET_KEY_RULE.message}`,
        }),
      })
      .optional(),
    labels: decoration("labels", 63, LABEL_RULE),
    annotations: decoration("annotations", 1024),
    onDelete: z.enum(["Delete", "Retain"]).default("Delete").meta({
      description: "What becomes of the Secret when the ApiToken is deleted. The token in it is revoked in any case.",
    }),
  })
  .meta({
    description: "The Secret that holds the token. Its type is always Opaque.",
    ...rules({
      rule: "!has(self.data) || !((has(self.key) ? self.key : 'token') in self.data)",
      message: "data has the key of the token itself: choose another key for one of both",
    }),
  });

const rotationSchema = z
  .object({
    policy: z.enum(["Auto", "Disabled"]).default("Auto").meta({
      description: "Whether the next token is issued before this one expires. A fixed expiresAt is never renewed.",
    }),
    renewBefore: durationField("1s").optional().meta({
      description: "How long before its expiry a token is renewed; at most half of its lifetime counts.",
    }),
    renewBeforePercentage: z.int().min(1).max(50).optional().meta({
      description: "The same as a share of the lifetime, in percent. Default: 10.",
    }),
    overlap: durationField("0s").default("1h").meta({
      description: "How long the previous token stays valid after the Secret holds the next one.",
    }),
  })
  .meta({
    description: "When the token is followed by the next one.",
    ...rules({
      rule: "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
      message: "renewBefore and renewBeforePercentage exclude each other: remove one of them",
    }),
  });

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
    description: z
      .string()
      .max(256)
      .default("")
      .meta({ description: "What the token is for.", ...rules(TEXT_RULE) }),
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
    duration: durationField("10s").optional().meta({
      description:
        "How long the token lives, as a Go duration of at least 10s, such as 720h. The policy has the default, and clamps it to the maximum.",
    }),
    expiresAt: timeField().optional().meta({
      description:
        "When the token ends (RFC 3339), instead of a duration. Clamped to the maximum lifetime; the token is not renewed.",
    }),
    rotation: rotationSchema.prefault({}),
    inactivityTimeout: durationField("1m").optional().meta({
      description: "Revokes the token when it has not been used for so long. The policy may ask for less.",
    }),
    allowedCIDRs: z
      .array(
        z
          .string()
          .min(1)
          .max(43)
          .meta(
            rules({
              rule: "isCIDR(self)",
              messageExpression: "'\"' + self + '\" is no CIDR: write it like 10.0.0.0/8 or 2001:db8::/32'",
            }),
          ),
      )
      .max(32)
      .default([])
      .meta({
        description: "From where the token may be used; everywhere, if empty.",
        "x-kubernetes-list-type": "set",
      }),
    metadata: z
      .record(z.string(), z.string().max(256))
      .meta({
        description:
          "What those who verify the token are told besides, such as a tenant or a cost centre: at most 16 pairs. Encrypted in the database; readable by whoever may read this resource.",
        maxProperties: 16,
        ...rules(
          {
            rule: "self.all(key, key.matches('^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$'))",
            message:
              "keys must be 1 to 63 letters, digits, '.', '_', '/' and '-', beginning and ending with a letter or digit",
          },
          {
            rule: TEXT_RULE.rule.replace("!self", "self.all(key, !self[key]").concat(")"),
            message: `values ${TEXT_RULE.message}`,
          },
        ),
      })
      .default({}),
    secret: secretSchema.prefault({}),
    revoked: z.boolean().default(false).meta({ description: "true revokes the token. This is final." }),
    revocationReason: z
      .string()
      .max(256)
      .default("")
      .meta({ description: "Why, for the audit trail.", ...rules(TEXT_RULE) }),
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
