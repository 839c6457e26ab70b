/*
 * The step from an ApiToken of the API server to what the rest of the program works with. The cache holds tens of
 * thousands of them, so they are reduced on arrival; and no code but this trusts a spec to match the schema.
 */

import type { z } from "zod";
import { shareList, shareText } from "../../runtime/sharing.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Condition } from "../../token/condition.ts";
import type { ApiTokenStatus, DesiredRotation, DesiredToken, ParsedSpec, SpecRemainder } from "../../token/model.ts";
import { type Fields, TOO_LARGE } from "../json-fields.ts";
import { apiTokenSpecSchema } from "./api-token-spec.ts";
import { FINALIZER, IDENTITY_FIELDS, type ObjectMeta, REQUESTER_ANNOTATION, ROTATE_ANNOTATION } from "./group.ts";
import { describeProblems, readDuration, readRateLimit, withRemedy } from "./schema.ts";

type ApiTokenSpec = z.infer<typeof apiTokenSpecSchema>;

/** An ApiToken as the API server returns it. Only `parseSpec` may look into the spec. */
export interface ApiToken {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly spec: unknown;
  readonly status?: ApiTokenStatus;
}

/**
 * Reads an ApiToken's spec. The API server may have checked it against another version of the CRD, so it may still be
 * invalid: the returned problem names each field.
 */
export function parseSpec(resource: ApiToken): ParsedSpec {
  const result = apiTokenSpecSchema.safeParse(resource.spec);
  if (!result.success) return { problem: describeProblems(result.error), remainder: readRemainder(resource.spec) };
  try {
    return { desired: toDesired(result.data, resource.metadata.name) };
  } catch (error) {
    return { problem: withRemedy((error as Error).message), remainder: readRemainder(resource.spec) };
  }
}

/** What ends a token, read field by field, because a newer CRD may have let in what this controller cannot read. */
export function readRemainder(spec: unknown): SpecRemainder {
  const { revoked, revocationReason, owner, scopes } = (spec ?? {}) as Readonly<Record<string, unknown>>;
  const { shape } = apiTokenSpecSchema;
  const parsed = { owner: shape.owner.safeParse(owner).data, scopes: shape.scopes.safeParse(scopes).data };
  return {
    isRevoked: revoked === true,
    revocationReason: typeof revocationReason === "string" ? stripControls(revocationReason) : "",
    grantee:
      parsed.owner === undefined || parsed.scopes === undefined
        ? undefined
        : { owner: parsed.owner, scopes: parsed.scopes },
  };
}

function toDesired(spec: ApiTokenSpec, resourceName: string): DesiredToken {
  return {
    owner: spec.owner,
    description: stripControls(spec.description),
    scopes: spec.scopes,
    lifetime: spec.expiresAt
      ? { kind: "fixed", expiresAt: new Date(spec.expiresAt) }
      : spec.duration
        ? { kind: "duration", durationMs: readDuration("duration", spec.duration) }
        : { kind: "default" },
    allowedCidrs: spec.allowedCIDRs,
    metadata: Object.fromEntries(Object.entries(spec.metadata).map(([key, value]) => [key, stripControls(value)])),
    rotation: toRotation(spec.rotation),
    inactivityTimeoutMs:
      spec.inactivityTimeout === undefined ? undefined : readDuration("inactivityTimeout", spec.inactivityTimeout),
    rateLimit: spec.rateLimit && readRateLimit(spec.rateLimit),
    secret: {
      name: spec.secret.name ?? resourceName,
      key: spec.secret.key,
      data: spec.secret.data ?? {},
      labels: spec.secret.labels ?? {},
      annotations: spec.secret.annotations ?? {},
      isRetained: spec.secret.onDelete === "Retain",
    },
    isRevoked: spec.revoked,
    revocationReason: stripControls(spec.revocationReason),
    isSuspended: spec.suspend,
  };
}

const RENEW_BEFORE_PERCENTAGE = 10;

function toRotation({
  policy,
  renewBefore,
  renewBeforePercentage,
  overlap,
}: ApiTokenSpec["rotation"]): DesiredRotation {
  return {
    isAutomatic: policy === "Auto",
    renewBefore:
      renewBefore === undefined
        ? { percentage: renewBeforePercentage ?? RENEW_BEFORE_PERCENTAGE }
        : { ms: readDuration("rotation.renewBefore", renewBefore) },
    overlapMs: readDuration("rotation.overlap", overlap),
  };
}

/** What is read of a large ApiToken. The CRD bounds the spec, but nothing bounds a status that somebody has forged. */
export const API_TOKEN_FIELDS = {
  metadata: {
    ...IDENTITY_FIELDS,
    finalizers: "whole",
    annotations: { [ROTATE_ANNOTATION]: "whole", [REQUESTER_ANNOTATION]: "whole" },
  },
  spec: "whole",
  status: "bounded",
} as const satisfies Fields;

/** Keeps only what the program reads of an ApiToken. */
export function reduceApiToken(raw: unknown): ApiToken {
  const { metadata, spec, status } = raw as Omit<ApiToken, "status"> & { status?: ApiTokenStatus | typeof TOO_LARGE };
  const { namespace, name, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
  const { finalizers, annotations } = metadata;
  const kept = [ROTATE_ANNOTATION, REQUESTER_ANNOTATION].flatMap((key) => {
    const value = annotations?.[key];
    return value === undefined ? [] : [[key, abridge(value)] as const];
  });
  return {
    metadata: {
      namespace: shareText(namespace),
      name,
      uid,
      resourceVersion,
      ...(generation === undefined ? {} : { generation }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp: shareText(creationTimestamp) }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(finalizers === undefined ? {} : { finalizers: abridgeFinalizers(finalizers) }),
      ...(kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }),
    },
    spec: shareSpec(spec),
    ...(status === undefined || status === TOO_LARGE ? {} : { status: shareStatus(status) }),
  };
}

/** The parts that many ApiTokens have in common are kept once. The spec has not been checked yet. */
function shareSpec(spec: unknown): unknown {
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) return spec;
  const { owner, scopes } = spec as { owner?: unknown; scopes?: unknown };
  return {
    ...spec,
    ...(owner === undefined ? {} : { owner: shareText(owner) }),
    ...(scopes === undefined ? {} : { scopes: shareList(scopes) }),
  };
}

function shareStatus(status: ApiTokenStatus): ApiTokenStatus {
  const { conditions, effective, policy, issuedAt, expiresAt, renewAt } = status;
  return {
    ...status,
    // Those that were issued in the same second, and a token's times among each other, are often the same.
    ...(issuedAt === undefined ? {} : { issuedAt: shareText(issuedAt) }),
    ...(expiresAt === undefined ? {} : { expiresAt: shareText(expiresAt) }),
    ...(renewAt === undefined ? {} : { renewAt: shareText(renewAt) }),
    ...(policy === undefined ? {} : { policy: shareText(policy) }),
    ...(conditions === undefined ? {} : { conditions: conditions.map(shareCondition) }),
    ...(effective === undefined
      ? {}
      : { effective: { duration: shareText(effective.duration), scopes: shareList(effective.scopes) } }),
  };
}

function shareCondition(condition: Condition): Condition {
  const { type, status, reason, message, lastTransitionTime } = condition;
  return {
    ...condition,
    type: shareText(type),
    status: shareText(status),
    reason: shareText(reason),
    message: shareText(message),
    lastTransitionTime: shareText(lastTransitionTime),
  };
}

const OUR_FINALIZERS = [FINALIZER];

/** Stands for the finalizers of others where they are too many to keep. */
export const OTHER_FINALIZERS = "…";

/** The API server accepts annotations of a quarter of a megabyte, and no limit on finalizers, from anyone who may create ApiTokens. */
const KEPT_CHARACTERS = 256;

/** A copy, because a slice of a string keeps all of it in memory. */
function abridge(text: string): string {
  return text.length <= KEPT_CHARACTERS ? text : Buffer.from(text.slice(0, KEPT_CHARACTERS)).toString();
}

/** One array for all, because nearly all ApiTokens have our finalizer alone. */
function abridgeFinalizers(finalizers: readonly string[]): readonly string[] {
  const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
  const isOurs = others.length < finalizers.length;
  if (others.length === 0) return isOurs ? OUR_FINALIZERS : [];
  if (others.join("").length <= KEPT_CHARACTERS) return finalizers;
  return [...(isOurs ? OUR_FINALIZERS : []), OTHER_FINALIZERS];
}
