/*
 * What the schemas of all three resources share. Each field is described once, for zod (which reads specs) and for the CRD
 * (which the API server enforces).
 */
import { z } from "zod";
import { DURATION_PATTERN, parseDuration } from "../../token/duration.ts";
import { isOwner, OWNER_MAX_LENGTH, OWNER_PATTERN } from "../../token/owner.ts";
import type { RateLimit } from "../../token/rate-limit.ts";

/** A CEL rule of a schema node, as the CRD carries it (KEP-2876). */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly fieldPath?: string;
}

/** The CEL rules of a schema node. */
export function rules(...list: Rule[]): { "x-kubernetes-validations": Rule[] } {
  return { "x-kubernetes-validations": list };
}

/** CEL: whether a text is a Go duration. */
export function isDuration(text: string): string {
  return `${text}.matches('${DURATION_PATTERN.replaceAll("\\", "\\\\")}')`;
}

/** A hundred years: added to the current time, a longer one could leave the range of Postgres' and JavaScript's times. */
export const LONGEST_DURATION = "876000h";

/** A Go duration from `shortest` to `longest`. */
export function durationField(shortest: string, longest = LONGEST_DURATION, examples = "720h, 90m or 1h30m") {
  const bound = shortest === "0s" ? `of at most ${longest}` : `from ${shortest} to ${longest}`;
  return z
    .string()
    .max(20)
    .meta(
      rules({
        rule: `${isDuration("self")} && duration(self) >= duration('${shortest}') && duration(self) <= duration('${longest}')`,
        message: `must be a Go duration ${bound}, such as ${examples}`,
      }),
    );
}

const LONGEST_RATE_WINDOW = "24h";

/** How often a token may be used. */
export function rateLimitField() {
  return z.object({
    requests: z.int().min(1).max(1_000_000).meta({
      description:
        "How many requests the token may make in this time, from 1 to 1000000. They may come all at once: for a steadier flow, set fewer requests in a shorter time.",
    }),
    per: durationField("1s", LONGEST_RATE_WINDOW, "1s, 1m or 1h30m").meta({
      description: "The time, as a Go duration from 1s to 24h, such as 1m. Rounded up to whole seconds.",
    }),
  });
}

/** Reads it. In whole seconds, as rows store it: otherwise each pass would see a difference and write the row again. */
export function readRateLimit({ requests, per }: z.infer<ReturnType<typeof rateLimitField>>): RateLimit {
  const ms = readDuration("rateLimit.per", per, LONGEST_RATE_WINDOW);
  return { requests, seconds: Math.max(1, Math.ceil(ms / 1_000)) };
}

const SCOPE_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._~*/-]*(:[A-Za-z0-9._~*/-]+)*$";

/** A scope of a token. */
export function scopeField() {
  return z
    .string()
    .min(1)
    .max(128)
    .meta(
      rules({
        rule: `self.matches('${SCOPE_PATTERN}')`,
        messageExpression:
          "'\"' + self + '\" is not a valid scope: use letters, digits and . _ ~ * / - in parts joined by colons, such as orders:read'",
      }),
    );
}

/** Whether a token can have this scope: a CRD of another release may have let pass what Postgres would reject. */
export function isScope(text: string): boolean {
  return new RegExp(SCOPE_PATTERN).test(text);
}

/** What the owner of an ApiToken, or of an OwnerBlock, may be called. */
export const OWNER_RULE: Rule = {
  rule: `self.matches('${OWNER_PATTERN}')`,
  message: "must consist of visible ASCII characters without spaces, such as shop/orders or team-a@example.com",
};

/** An owner, by the rule of `OWNER_RULE`, which the schema of the field must carry as well. */
export function ownerField() {
  return z.string().min(1).max(OWNER_MAX_LENGTH).refine(isOwner, OWNER_RULE.message);
}

/** A text for people. Postgres would reject some control characters, and a terminal would obey others. */
export const TEXT_RULE: Rule = {
  rule: "!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')",
  message: "must be a single line without control characters",
};

/** A key of a Secret. */
export const SECRET_KEY_RULE: Rule = {
  rule: "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
  message: "must consist of letters, digits, '-', '_' and '.', and must not be '.' or start with '..'",
};

/** An RFC 3339 time. The CRD's format also accepts it in lower case, and so does this. */
export function timeField() {
  return z
    .string()
    .refine((text) => !Number.isNaN(Date.parse(text)), "is not a valid time; write it like 2030-12-31T23:59:59Z")
    .meta({ format: "date-time" });
}

/** Why an object could not be read, field by field, and what to do about it. */
export function describeProblems(error: z.ZodError): string {
  return withRemedy(error.issues.map((issue) => `spec.${issue.path.join(".")}: ${issue.message}`).join("; "));
}

/** The API server has checked the spec against some CRD: what it let pass, the CRD of this release would have refused. */
export function withRemedy(problem: string): string {
  return `${problem}. Correct the spec, and check that the CRD is that of this release.`;
}

/**
 * Milliseconds of a duration field. What a CRD without the upper bound let pass counts as the bound. Throws an Error that
 * names the field.
 */
export function readDuration(field: string, text: string, longest = LONGEST_DURATION): number {
  try {
    return Math.min(parseDuration(text), parseDuration(longest));
  } catch (error) {
    throw new Error(`spec.${field}: ${(error as Error).message}`);
  }
}
