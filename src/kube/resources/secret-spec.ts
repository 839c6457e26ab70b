/*
 * The part of an ApiToken's spec that describes its Secret. It has its own file because of its many rules: they refuse,
 * while the user can still see it, what the API server would refuse later, when the Secret is written.
 */
import { z } from "zod";
import { rules, SECRET_KEY_RULE } from "./schema.ts";

const KEY_RULES = [
  {
    rule: "self.all(key, !format.qualifiedName().validate(key).hasValue())",
    message: "keys must be qualified names, such as team or example.com/team",
  },
  {
    rule: "self.all(key, !key.matches('^([^/]+[.])?(kubernetes[.]io|k8s[.]io)/|^apitoken[.]dev/'))",
    message: "keys under kubernetes.io/, k8s.io/ and apitoken.dev/ are reserved; use a prefix of your own",
  },
];

const LABEL_RULE = {
  rule: "self.all(key, !format.labelValue().validate(self[key]).hasValue())",
  message:
    "values must be label values: at most 63 letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
};

function decoration(what: string, maxLength: number, ...extraRules: { rule: string; message: string }[]) {
  return z
    .record(z.string(), z.string().max(maxLength))
    .meta({
      description: `${what} to set on the Secret, such as team: shop. If somebody edits them there, they are restored. At most 32, with values of at most ${maxLength} characters; keys under kubernetes.io/, k8s.io/ and apitoken.dev/ are reserved. A key that you remove here is removed from the Secret; keys that others set on it stay. Default: none.`,
      maxProperties: 32,
      ...rules(...KEY_RULES, ...extraRules),
    })
    .optional();
}

/** `spec.secret` of an ApiToken. */
export const secretSpecSchema = z
  .object({
    name: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .meta({
        description:
          "Name of the Secret that the token is written to, up to 253 characters. Changing it moves the token to a Secret of the new name and deletes the old one. A Secret that does not belong to this ApiToken is never touched (reason SecretConflict). Default: the name of the ApiToken.",
        ...rules({
          rule: "!format.dns1123Subdomain().validate(self).hasValue()",
          message: "must be a DNS subdomain name: lowercase letters, digits, '-' and '.'",
        }),
      }),
    key: z
      .string()
      .min(1)
      .max(253)
      .default("token")
      .meta({
        description:
          "Key of the token in the Secret's data, such as API_TOKEN. Changing it rewrites the Secret with the same token. Default: token.",
        ...rules(SECRET_KEY_RULE),
      }),
    data: z
      .record(z.string(), z.string().max(4096))
      .meta({
        description:
          'Extra keys for the Secret, each with a template for its value: ${token}, ${tokenId}, ${owner} and ${expiresAt} (RFC 3339) are replaced, as in "Bearer ${token}"; other text is kept. At most 16 keys, with templates of at most 4096 characters. Default: none.',
        maxProperties: 16,
        ...rules(
          {
            rule: "self.all(key, key.matches('^[-._a-zA-Z0-9]{1,253}$') && key != '.' && !key.startsWith('..'))",
            message: `keys ${SECRET_KEY_RULE.message}`,
          },
          {
            // JavaScript would take it for something else than a key, and drop it.
            rule: "!('__proto__' in self)",
            message: "the key __proto__ is not supported: choose another",
          },
        ),
      })
      .optional(),
    labels: decoration("Labels", 63, LABEL_RULE),
    annotations: decoration("Annotations", 1024),
    onDelete: z.enum(["Delete", "Retain"]).default("Delete").meta({
      description:
        "What happens to the Secret when the ApiToken is deleted. Delete removes it; Retain leaves it to you, without the operator's label and owner reference. The token in it is revoked either way. Default: Delete.",
    }),
  })
  .meta({
    description:
      "The Secret that holds the token, in the ApiToken's namespace. Its type is always Opaque. Data keys that are not named here are removed.",
    ...rules({
      rule: "!has(self.data) || !((has(self.key) ? self.key : 'token') in self.data)",
      message: "data must not use the token's own key: rename one of the two",
    }),
  });
