/*
 * Reads from the API server's answer who refused a call: the user of an ApiToken can do something about a webhook, a quota
 * or a policy only by its name. What any of them wrote about a Secret is never quoted, because it may quote the Secret.
 */
import { stripControls } from "../runtime/text.ts";

/** The parts of a Status (the API server's answer to a failed call) that are read. Webhooks may fill in all of them. */
export interface RefusalStatus {
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: {
    readonly retryAfterSeconds?: unknown;
    readonly causes?: readonly { readonly reason?: unknown; readonly field?: unknown }[];
  };
}

/** A right that the API server found missing, as its own authorizer words it. */
export interface MissingRight {
  readonly user: string;
  readonly verb: string;
  /** With its group and subresource, such as "apitokens.apitoken.dev" and "pods/exec". */
  readonly resource: string;
  /** Undefined if the right is needed in the whole cluster. */
  readonly namespace?: string;
}

/** https://github.com/kubernetes/apiserver/blob/master/pkg/endpoints/handlers/responsewriters/errors.go */
const MISSING_RIGHT =
  /is forbidden: User "([^"]*)" cannot ([a-z]+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)"| at the cluster scope)/;

/** The right that is missing, if that is why a call was refused. */
export function findMissingRight({ message }: RefusalStatus): MissingRight | undefined {
  const match = typeof message === "string" ? MISSING_RIGHT.exec(stripControls(message.slice(0, 2_000))) : null;
  if (match === null) return undefined;
  const [, user = "", verb = "", plural = "", group = "", namespace] = match;
  const [name = "", ...subresource] = plural.split("/");
  const resource = [group === "" ? name : `${name}.${group}`, ...subresource].join("/");
  return { user, verb, resource, ...(namespace === undefined ? {} : { namespace }) };
}

/** Characters of an answer that are quoted. */
const LONGEST_QUOTE = 500;

const NAME = "([a-z0-9][a-z0-9.-]{0,251})";

/** How the API server words what its admission plugins say, and what it means. */
const REFUSERS: readonly (readonly [pattern: RegExp, meaning: (name: string) => string])[] = [
  [new RegExp(`^admission webhook "${NAME}" denied the request`), (name) => `admission webhook "${name}" denied it`],
  [
    new RegExp(`^(?:Internal error occurred: )?failed calling webhook "${NAME}":`),
    (name) => `admission webhook "${name}" cannot be called`,
  ],
  [new RegExp(`is forbidden: exceeded quota: ${NAME},`), (name) => `ResourceQuota "${name}" is exhausted`],
  [new RegExp(`is forbidden: failed quota: ${NAME}:`), (name) => `ResourceQuota "${name}" does not allow it`],
  [
    new RegExp(`is forbidden: status unknown for quota: ${NAME},`),
    (name) => `ResourceQuota "${name}" has not been counted yet`,
  ],
  [
    new RegExp(`is forbidden: ValidatingAdmissionPolicy '${NAME}'`),
    (name) => `ValidatingAdmissionPolicy "${name}" denied it`,
  ],
  [
    new RegExp(`is forbidden: (?:Mutating|Validating)AdmissionPolicy '${NAME}'|^policy '${NAME}' with binding`),
    (name) => `admission policy "${name}" denied it`,
  ],
  [/^[a-z]+(?: "[^"]*")? is forbidden: User "[^"]*" cannot/, () => "the controller lacks the right to do so"],
  [/because it is being terminated$/, () => "the namespace is being deleted"],
  [/^object is being deleted: /, () => "an object of this name is still being deleted"],
];

/** A machine-readable reason, such as Forbidden. Webhooks choose it freely, so anything else counts as unknown. */
export function readReason({ reason }: RefusalStatus): string {
  return typeof reason === "string" && /^[A-Z][A-Za-z]{0,63}$/.test(reason) ? reason : "Unknown";
}

/** Why a call was refused, as far as that may be logged; undefined if the answer says nothing of use. */
export function explainRefusal({ message, details }: RefusalStatus, isSecret: boolean): string | undefined {
  const text = typeof message === "string" ? message : "";
  const refuser = findRefuser(text);
  const rest = isSecret ? listFields(details?.causes) : refuser === undefined ? quote(text) : undefined;
  const parts = [refuser, rest].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join(": ");
}

function findRefuser(text: string): string | undefined {
  for (const [pattern, meaning] of REFUSERS) {
    const match = pattern.exec(text);
    if (match !== null) return meaning(match.slice(1).find((name) => name !== undefined) ?? "");
  }
  return undefined;
}

function quote(text: string): string | undefined {
  return text === "" ? undefined : stripControls(text.slice(0, LONGEST_QUOTE));
}

/** Characters of an answer that are shown to whoever has made the call. */
const LONGEST_ANSWER = 2_000;

/** The server's own words, for whoever has made the call; undefined if they may quote a Secret. */
export function readWords({ message }: RefusalStatus, isSecret: boolean): string | undefined {
  if (isSecret || typeof message !== "string" || message === "") return undefined;
  return stripControls(message.slice(0, LONGEST_ANSWER));
}

/** The fields of a Secret that were refused, with the reason for each. A key may be shown, a value may not. */
function listFields(causes: NonNullable<RefusalStatus["details"]>["causes"]): string | undefined {
  const fields = (Array.isArray(causes) ? causes : []).slice(0, 3).flatMap((cause) => {
    const field = typeof cause?.field === "string" && FIELD.test(cause.field) ? cause.field : undefined;
    const reason = typeof cause?.reason === "string" && CAUSES.has(cause.reason) ? cause.reason : undefined;
    if (field === undefined) return reason === undefined ? [] : [reason];
    return [reason === undefined ? field : `${field} (${reason})`];
  });
  return fields.length === 0 ? undefined : fields.join(", ");
}

const FIELD = /^(metadata|data|immutable|type)([.[][\w./[\]-]{0,100})?$/;

/** metav1.CauseType. https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#CauseType */
const CAUSES = new Set([
  "FieldValueNotFound",
  "FieldValueRequired",
  "FieldValueDuplicate",
  "FieldValueInvalid",
  "FieldValueNotSupported",
  "FieldValueForbidden",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
  "InternalError",
  "NamespaceTerminating",
]);
