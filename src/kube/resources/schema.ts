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
  return z
    .string()
    .max(20)
    .meta(
      rules({
        rule: `${IS_DURATION} && duration(self) >= duration('${shortest}')`,
        message: `must be a Go duration of at least ${shortest}, such as 720h, 90m or 1h30m`,
      }),
    );
}

/** A text for people: no control characters, which Postgres would refuse and a terminal obey. */
export const TEXT_RULE: Rule = {
  rule: "!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')",
  message: "must be one line without control characters",
};

/** A key of a Secret. */
export const SECRET_KEY_RULE: Rule = {
  rule: "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
  message: "must consist of letters, digits, '-', '_' and '.', and be neither '.' nor begin with '..'",
};

/** An RFC 3339 time, as the CRD's format lets it pass: in small letters, too. */
export function timeField() {
  return z
    .string()
    .refine((text) => !Number.isNaN(Date.parse(text)), "is no time; write it like 2026-12-31T23:59:59Z")
    .meta({ format: "date-time" });
}

/** Why an object could not be read, field by field. */
export function describeProblems(error: z.ZodError): string {
  const problems = error.issues.map((issue) => `spec.${issue.path.join(".")}: ${issue.message}`);
  return `${problems.join("; ")}. Correct the spec, and check that the CRD fits this controller.`;
}

/** Milliseconds of a duration field. Throws an Error that names the field. */
export function readDuration(field: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new Error(`spec.${field}: ${(error as Error).message}`);
  }
}
