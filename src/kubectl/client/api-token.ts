/*
 * An ApiToken as the plugin shows it. The cluster may run another release than the plugin, so nothing is taken for granted:
 * what is missing is undefined, and what is unknown is shown as it is.
 */
import { REQUESTER_ANNOTATION, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import { stripControls } from "../../runtime/text.ts";

/** A condition, with whatever words the controller has written. */
export interface ConditionView {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly since: string | undefined;
}

/** The token before the current one, during its overlap. */
export interface PreviousView {
  readonly tokenId: string;
  readonly validUntil: string;
  readonly lastUsedAt: string | undefined;
}

export interface ApiTokenView {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Another one with every change. */
  readonly version: string;
  readonly createdAt: string | undefined;
  readonly isDeleting: boolean;
  /** Whether the status is about the current spec. */
  readonly isObserved: boolean;
  readonly owner: string;
  readonly requestedBy: string | undefined;
  readonly description: string | undefined;
  readonly scopes: readonly string[];
  readonly secretName: string;
  readonly secretKeys: readonly string[];
  readonly conditions: readonly ConditionView[];
  readonly tokenId: string | undefined;
  readonly revision: number | undefined;
  readonly issuedAt: string | undefined;
  readonly expiresAt: string | undefined;
  readonly renewAt: string | undefined;
  readonly lastUsedAt: string | undefined;
  readonly duration: string | undefined;
  readonly policy: string | undefined;
  readonly previous: PreviousView | undefined;
  readonly rotateRequestedAt: string | undefined;
  readonly lastHandledRotateAt: string | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? stripControls(value) : undefined;
const textsOf = (value: unknown): string[] => listOf(value).flatMap((item) => textOf(item) ?? []);

/** Reads what the API server has returned. */
export function readApiToken(raw: unknown): ApiTokenView {
  const { metadata: rawMetadata, spec: rawSpec, status: rawStatus } = objectOf(raw);
  const [metadata, spec, status] = [objectOf(rawMetadata), objectOf(rawSpec), objectOf(rawStatus)];
  const annotations = objectOf(metadata.annotations);
  const secret = objectOf(spec.secret);
  const effective = objectOf(status.effective);
  const name = textOf(metadata.name) ?? "";
  const observed = numberOf(status.observedGeneration) ?? 0;
  return {
    namespace: textOf(metadata.namespace) ?? "",
    name,
    uid: textOf(metadata.uid) ?? "",
    version: textOf(metadata.resourceVersion) ?? "",
    createdAt: textOf(metadata.creationTimestamp),
    isDeleting: metadata.deletionTimestamp !== undefined,
    isObserved: observed >= (numberOf(metadata.generation) ?? 0),
    owner: textOf(spec.owner) ?? "",
    requestedBy: textOf(annotations[REQUESTER_ANNOTATION]),
    description: textOf(spec.description),
    scopes: effective.scopes === undefined ? textsOf(spec.scopes) : textsOf(effective.scopes),
    secretName: textOf(status.secretName) ?? textOf(secret.name) ?? name,
    secretKeys: [textOf(secret.key) ?? "token", ...Object.keys(objectOf(secret.data)).map(stripControls)],
    conditions: listOf(status.conditions).map(readCondition),
    tokenId: textOf(status.tokenId),
    revision: numberOf(status.revision),
    issuedAt: textOf(status.issuedAt),
    expiresAt: textOf(status.expiresAt),
    renewAt: textOf(status.renewAt),
    lastUsedAt: textOf(status.lastUsedAt),
    duration: textOf(effective.duration),
    policy: textOf(status.policy),
    previous: readPrevious(status.previous),
    rotateRequestedAt: textOf(annotations[ROTATE_ANNOTATION]),
    lastHandledRotateAt: textOf(status.lastHandledRotateAt),
  };
}

/** Reads a condition of any of our resources. */
export function readCondition(raw: unknown): ConditionView {
  const { type, status, reason, message, lastTransitionTime } = objectOf(raw);
  return {
    type: textOf(type) ?? "",
    status: textOf(status) ?? "Unknown",
    reason: textOf(reason) ?? "",
    message: textOf(message) ?? "",
    since: textOf(lastTransitionTime),
  };
}

function readPrevious(raw: unknown): PreviousView | undefined {
  const { tokenId, validUntil, lastUsedAt } = objectOf(raw);
  const id = textOf(tokenId);
  if (id === undefined) return undefined;
  return { tokenId: id, validUntil: textOf(validUntil) ?? "", lastUsedAt: textOf(lastUsedAt) };
}

/** The condition of this type, if there is one. */
export function conditionOf({ conditions }: Pick<ApiTokenView, "conditions">, type: string): ConditionView | undefined {
  return conditions.find((condition) => condition.type === type);
}

/** Whether the Secret holds a token that works, as far as the status says. */
export function isReady(token: Pick<ApiTokenView, "conditions">): boolean {
  return conditionOf(token, "Ready")?.status === "True";
}

/** The reason of Ready, or what there is to say before the first one. */
export function reasonOf(token: Pick<ApiTokenView, "conditions" | "isDeleting">): string {
  return conditionOf(token, "Ready")?.reason || (token.isDeleting ? "Deleting" : "Pending");
}
