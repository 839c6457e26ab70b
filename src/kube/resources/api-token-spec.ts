/*
 * One schema serves three readers: `crds/` is generated from it, the controller reads specs with it, and docs/api.md shows
 * its descriptions. Rules that need a message with a remedy, or that compare with the old object, are CEL: only the API
 * server evaluates them.
 */
import { z } from "zod";
import {
  durationField,
  OWNER_RULE,
  ownerField,
  rateLimitField,
  rules,
  scopeField,
  TEXT_RULE,
  timeField,
} from "./schema.ts";
import { secretSpecSchema } from "./secret-spec.ts";

const rotationSchema = z
  .object({
    policy: z.enum(["Auto", "Disabled"]).default("Auto").meta({
      description:
        "Auto issues the next token before the current one expires. Disabled lets it expire, with a warning beforehand (condition ExpiringSoon). A token with a fixed expiresAt is never renewed. Default: Auto.",
    }),
    renewBefore: durationField("1s").optional().meta({
      description:
        "How long before its expiry the token is renewed, as a Go duration from 1s to 876000h, such as 72h. Anything longer than half of the lifetime counts as half. The renewal is delayed by up to a tenth of this time, by the same amount every time for the same ApiToken, so that tokens issued together are not all renewed together. Default: see renewBeforePercentage.",
    }),
    renewBeforePercentage: z.int().min(1).max(50).optional().meta({
      description:
        "The same as renewBefore, as a percentage of the lifetime, from 1 to 50. Default: 10, unless renewBefore is set.",
    }),
    overlap: durationField("0s").default("1h").meta({
      description:
        "How long the previous token stays valid after the Secret holds the next one, as a Go duration such as 24h; never past its own expiry. Consumers must read the Secret again within this time. 0s ends the previous token at once. Default: 1h.",
    }),
  })
  .meta({
    description: "When the next token is issued, and how long the previous one stays valid.",
    ...rules({
      rule: "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
      message: "renewBefore and renewBeforePercentage are mutually exclusive: remove one of them",
    }),
  });

export const apiTokenSpecSchema = z
  .object({
    owner: ownerField().meta({
      description:
        "Who the token acts for, such as shop/orders: 1 to 253 visible ASCII characters. The policy must allow the owner; the default policy allows the name of the namespace, alone or followed by / and more. Required, and cannot be changed: a token is bound to its owner forever.",
      ...rules(
        {
          rule: "self == oldSelf",
          message: "cannot be changed: a token is bound to its owner forever; create another ApiToken instead",
        },
        OWNER_RULE,
      ),
    }),
    description: z
      .string()
      .max(256)
      .default("")
      .meta({
        description:
          "What the token is for, in one line of at most 256 characters, for people. Stored with the token. Default: empty.",
        ...rules(TEXT_RULE),
      }),
    scopes: z.array(scopeField()).max(64).default([]).meta({
      description:
        "What the token may be used for, such as orders:read: at most 64, each of at most 128 characters. The policy must allow each of them. A change applies to the current token, and to the previous one during its overlap, without a new token. Default: none.",
      "x-kubernetes-list-type": "set",
    }),
    duration: durationField("10s").optional().meta({
      description:
        "Lifetime of each token, as a Go duration from 10s to 876000h, such as 720h. Anything longer than the policy's maxDuration is cut to it (condition LifetimeClamped). A change applies to the current token as well, counted from the time it was issued. Default: the policy's defaultDuration.",
    }),
    expiresAt: timeField().optional().meta({
      description:
        "When the token expires (RFC 3339, such as 2030-12-31T23:59:59Z), instead of a duration. Cut to the policy's maxDuration as well. The token is not renewed: no other follows it. Default: none, and duration applies.",
    }),
    rotation: rotationSchema.prefault({}),
    inactivityTimeout: durationField("1m").optional().meta({
      description:
        "Revokes the token and deletes the Secret when the token has not been used for this long, as a Go duration from 1m to 876000h, such as 720h. Counted from the last use or, if there was none, from the issue of the token; a renewal does not count as use. If the policy's timeout is shorter, that one applies. Default: the policy's timeout, or never.",
    }),
    rateLimit: rateLimitField().optional().meta({
      description:
        "How often the token may be used. Verifiers answer requests beyond it with 429 and Retry-After; each verifier counts for itself. The policy's limit applies as well: of both, the fewer requests at once and the slower rate. A change applies without a new token. Default: the policy's limit, or none.",
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
              messageExpression: "'\"' + self + '\" is not a valid CIDR: write it like 10.0.0.0/8 or 2001:db8::/32'",
            }),
          ),
      )
      .max(32)
      .default([])
      .meta({
        description:
          "Networks that the token may be used from, such as 10.0.0.0/8: at most 32. Stored with the token and enforced by whoever verifies it. A change applies without a new token. Default: any network.",
        "x-kubernetes-list-type": "set",
      }),
    metadata: z
      .record(z.string(), z.string().max(256))
      .meta({
        description:
          "Extra data returned to whoever verifies the token, such as tenant: acme. At most 16 pairs, with values of at most 256 characters. Encrypted in the database, but anyone who can read this resource can read it: put no secrets in it. A change applies without a new token. Default: none.",
        maxProperties: 16,
        ...rules(
          {
            rule: "self.all(key, key.matches('^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$'))",
            message:
              "keys must be 1 to 63 letters, digits, '.', '_', '/' and '-', starting and ending with a letter or digit",
          },
          {
            rule: TEXT_RULE.rule.replace("!self", "self.all(key, !self[key]").concat(")"),
            message: `values ${TEXT_RULE.message}`,
          },
        ),
      })
      .default({}),
    secret: secretSpecSchema.prefault({}),
    revoked: z.boolean().default(false).meta({
      description:
        "true revokes the current and the previous token at once and deletes the Secret. This is final and cannot be undone: to get a new token, apply another ApiToken. Default: false.",
    }),
    revocationReason: z
      .string()
      .max(256)
      .default("")
      .meta({
        description:
          "Why the token is revoked, in one line of at most 256 characters, for the condition and the audit trail. Set it together with revoked, because the audit trail records it at that moment. Default: empty.",
        ...rules(TEXT_RULE),
      }),
    suspend: z.boolean().default(false).meta({
      description:
        "true pauses reconciliation, but not the token: it keeps working until it expires and is not renewed, and changes to the spec or the Secret wait. Deletion, revoked, an OwnerBlock or a policy that forbids the token still ends it. Default: false.",
    }),
  })
  .meta({
    description: "Which token you want, and where to write it.",
    ...rules(
      {
        rule: "has(self.owner)",
        message: "owner is missing: state who the token acts for, such as owner: shop/orders",
      },
      {
        rule: "!(has(self.duration) && has(self.expiresAt))",
        message: "duration and expiresAt are mutually exclusive: remove one of them",
      },
      {
        rule: "!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",
        message: "revoked cannot be unset: a revocation is final; create another ApiToken instead",
      },
    ),
  });
