/*
 * What the schemas of all three resources share. Each field is described once, for zod (which reads specs) and for the CRD
 * (which the API server enforces).
 */
import { z } from "zod";
import { DURATION_PATTERN, parseDuration } from "../../token/duration.ts";

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

const IS_DURATION = `self.matches('${DURATION_PATTERN.replaceAll("\\", "\\\\")}')`;

/** A Go duration of at least `shortest`. */
export function durationField(shortest: string) {
  const bound = shortest === "0s" ? "" : ` of at least ${shortest}`;
  return z
    .string()
    .max(20)
    .meta(
      rules({
        rule: `${IS_DURATION} && duration(self) >= duration('${shortest}')`,
        message: `must be a Go duration${bound}, such as 720h, 90m or 1h30m`,
      }),
    );
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

/** Milliseconds of a duration field. Throws an Error that names the field. */
export function readDuration(field: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new Error(`spec.${field}: ${(error as Error).message}`);
  }
}
