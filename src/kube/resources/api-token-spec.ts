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
      description: `Copied to the Secret's ${what}, and kept so: at most 32, with keys of kubernetes.io/, k8s.io/ and apitoken.dev/ reserved. What is taken out here is removed there; what others have set there stays. Default: none.`,
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
        description:
          "Name of the Secret that the token is written to. Default: the name of the ApiToken. A new name moves the token there and deletes the old Secret; a Secret of that name that is not this ApiToken's is never touched (reason SecretConflict).",
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
        description: "Key of the token in the Secret's data. A new key writes the Secret anew with the same token.",
        ...rules(SECRET_KEY_RULE),
      }),
    data: z
      .record(z.string(), z.string().max(4096))
      .meta({
        description:
          'Further keys of the Secret, at most 16, each with a template of its value: ${token}, ${tokenId}, ${owner} and ${expiresAt} (RFC 3339) are filled in, as in "Bearer ${token}"; other text stays as it is. Default: none.',
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
      description:
        "What becomes of the Secret when the ApiToken is deleted: Delete removes it, Retain leaves it to you, without label and owner reference. The token in it is revoked in any case.",
    }),
  })
  .meta({
    description:
      "The Secret that holds the token, in the ApiToken's namespace. Its type is always Opaque. Keys of its data that are not asked for here are removed.",
    ...rules({
      rule: "!has(self.data) || !((has(self.key) ? self.key : 'token') in self.data)",
      message: "data has the key of the token itself: choose another key for one of both",
    }),
  });

const rotationSchema = z
  .object({
    policy: z.enum(["Auto", "Disabled"]).default("Auto").meta({
      description:
        "Auto issues the next token before this one expires. Disabled lets it expire; condition ExpiringSoon warns before. A token with a fixed expiresAt is never renewed.",
    }),
    renewBefore: durationField("1s").optional().meta({
      description:
        "How long before its expiry a token is renewed, as a Go duration of at least 1s; at most half of its lifetime counts. Up to a tenth of it is taken off, always the same for the same ApiToken, so that tokens issued together do not fall due together. Default: see renewBeforePercentage.",
    }),
    renewBeforePercentage: z.int().min(1).max(50).optional().meta({
      description:
        "The same as renewBefore, as a share of the lifetime in percent, from 1 to 50. Default: 10, unless renewBefore is set.",
    }),
    overlap: durationField("0s").default("1h").meta({
      description:
        "How long the previous token stays valid after the Secret holds the next one, as a Go duration; never past its own expiry. Consumers must read the Secret again within this time. 0s ends it at once.",
    }),
  })
  .meta({
    description: "When the token is followed by the next one, and how long both are valid.",
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
        description:
          "Whom the token speaks for, such as alice or team-a@example.com: 1 to 253 visible ASCII characters. Required. Cannot be changed: a token is bound to its owner for ever. The policy must allow it.",
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
      .meta({
        description: "What the token is for, in one line of at most 256 characters, for people. Kept with the token.",
        ...rules(TEXT_RULE),
      }),
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
      .meta({
        description:
          "What the token may be used for, such as orders:read: at most 64. The policy must allow each. Changed in place: the token stays, and the previous one in its overlap changes as well. Default: none.",
        "x-kubernetes-list-type": "set",
      }),
    duration: durationField("10s").optional().meta({
      description:
        "How long each token lives, as a Go duration of at least 10s, such as 720h. More than the policy's maxDuration is cut to that (condition LifetimeClamped). A change counts from the issue of the token that is there. Default: the policy's defaultDuration.",
    }),
    expiresAt: timeField().optional().meta({
      description:
        "When the token ends (RFC 3339), instead of a duration. Cut to the policy's maxDuration as well. The token is not renewed: after its end there is none. Default: duration applies.",
    }),
    rotation: rotationSchema.prefault({}),
    inactivityTimeout: durationField("1m").optional().meta({
      description:
        "Revokes the token and deletes the Secret when nobody has used it for so long, as a Go duration of at least 1m, counted from its last use or its issue; a renewal is no use. The policy's counts if it is shorter. Default: the policy's, or never.",
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
        description:
          "From which networks the token may be used, at most 32. Kept with the token; whoever verifies it enforces it. Changed in place. Default: from everywhere.",
        "x-kubernetes-list-type": "set",
      }),
    metadata: z
      .record(z.string(), z.string().max(256))
      .meta({
        description:
          "What those who verify the token are told besides, such as a tenant or a cost centre: at most 16 pairs, values of at most 256 characters. Encrypted in the database, but readable by whoever may read this resource: put no secret in it. Changed in place. Default: none.",
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
    revoked: z.boolean().default(false).meta({
      description:
        "true revokes the current and the previous token at once and deletes the Secret. This is final: it cannot be set back; apply another ApiToken for a new token.",
    }),
    revocationReason: z
      .string()
      .max(256)
      .default("")
      .meta({
        description:
          "Why it is revoked, in one line of at most 256 characters, for condition and audit trail. Set it together with revoked: the audit trail has what it was at that moment.",
        ...rules(TEXT_RULE),
      }),
    suspend: z.boolean().default(false).meta({
      description:
        "Pauses reconciliation, not the token: it works on until it expires, is not renewed, and what is changed in spec or Secret waits. Deletion, revoked, an OwnerBlock and a policy that forbids it end it all the same.",
    }),
  })
  .meta({
    description: "Which token is wanted, and where it is written.",
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
