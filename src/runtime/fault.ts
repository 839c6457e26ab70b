/*
 * Errors that users meet. A fault has fields, so that no code has to take a message apart, and a code that stays the same
 * when the words change. Scripts and searches can rely on the code, and docs/errors.md explains each.
 */

/** The code of every fault. docs/errors.md has a section on each. */
export const FAULT_CODES = [
  "APITOKEN_E_USAGE",
  "APITOKEN_E_CONFIG_INVALID",
  "APITOKEN_E_CONFIG_FILE_INVALID",
  "APITOKEN_E_NAME_INVALID",
  "APITOKEN_E_TARGET_INVALID",
  "APITOKEN_E_DATABASE_UNAVAILABLE",
  "APITOKEN_E_DATABASE_REFUSED",
  "APITOKEN_E_DATABASE_LOCKED",
  "APITOKEN_E_SESSION_LOST",
  "APITOKEN_E_DATABASE_READ_ONLY",
  "APITOKEN_E_CLOCK_WRONG",
  "APITOKEN_E_SCHEMA_MISSING",
  "APITOKEN_E_SCHEMA_TOO_OLD",
  "APITOKEN_E_SCHEMA_TOO_NEW",
  "APITOKEN_E_SCHEMA_UNRELEASED",
  "APITOKEN_E_API_UNREACHABLE",
  "APITOKEN_E_API_REFUSED",
  "APITOKEN_E_KUBECONFIG_INVALID",
  "APITOKEN_E_RIGHT_MISSING",
  "APITOKEN_E_DEFINITIONS_MISSING",
  "APITOKEN_E_OBJECT_MISSING",
  "APITOKEN_E_POLICY_REFUSES",
  "APITOKEN_E_SECRET_FOREIGN",
  "APITOKEN_E_LEASE_TAKEN",
  "APITOKEN_E_NOT_LEADING",
  "APITOKEN_E_FENCED",
  "APITOKEN_E_KEYRING_MISSING",
  "APITOKEN_E_KEYRING_REFUSED",
  "APITOKEN_E_KEYRING_INVALID",
  "APITOKEN_E_KEYRING_CHANGED",
  "APITOKEN_E_KEY_MISSING",
  "APITOKEN_E_KEY_SWAPPED",
  "APITOKEN_E_KEY_UNKNOWN",
  "APITOKEN_E_KEY_IN_USE",
  "APITOKEN_E_TOO_MANY_ROWS",
  "APITOKEN_E_TARGET_ODD",
  "APITOKEN_E_TABLE_LOCKED",
  "APITOKEN_E_ROWS_HELD",
  "APITOKEN_E_ROWS_LEFT",
  "APITOKEN_E_PORT_UNAVAILABLE",
  "APITOKEN_E_METRICS_NOT_PUSHED",
  "APITOKEN_E_UNEXPECTED",
] as const;

export type FaultCode = (typeof FAULT_CODES)[number];

export interface FaultFields {
  readonly faultCode: FaultCode;
  /** What it is about, such as `the Secret "apitoken-system/apitoken-keyring"`; undefined if the problem says it. */
  readonly object?: string | undefined;
  /** What is wrong, as a clause without a full stop. It never contains a secret. */
  readonly problem: string;
  /** What to do about it, likewise. */
  readonly remedy?: string | undefined;
}

/** An error that a user can meet. Its message is made from its fields: "object: problem; remedy". */
export class Fault extends Error implements FaultFields {
  override readonly name: string = "Fault";
  readonly faultCode: FaultCode;
  readonly object: string | undefined;
  readonly problem: string;
  readonly remedy: string | undefined;

  constructor({ faultCode, object, problem, remedy }: FaultFields, options?: ErrorOptions) {
    super(
      `${object === undefined ? "" : `${object}: `}${problem}${remedy === undefined ? "" : `; ${remedy}`}`,
      options,
    );
    this.faultCode = faultCode;
    this.object = object;
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** Whatever was thrown, as `-o json` shows it: code, object, problem, remedy and the cause's message. */
export function toJsonFields(error: unknown): Record<string, string> {
  const message = error instanceof Error ? error.message : String(error);
  const { object, problem, remedy } = error instanceof Fault ? error : { problem: message };
  return {
    code: findFaultCode(error),
    ...(object === undefined ? {} : { object }),
    problem,
    ...(remedy === undefined ? {} : { remedy }),
    ...(error instanceof Error && error.cause instanceof Error ? { cause: error.cause.message } : {}),
  };
}

/** The code of whatever was thrown. What Postgres itself reported has a severity; anything else that is not a Fault is a bug. */
export function findFaultCode(error: unknown): FaultCode {
  if (error instanceof Fault) return error.faultCode;
  const isReportedByPostgres = error instanceof Error && "severity" in error && "code" in error;
  return isReportedByPostgres ? "APITOKEN_E_DATABASE_REFUSED" : "APITOKEN_E_UNEXPECTED";
}
