import { z } from "zod";
import { apiTokenSpecSchema } from "./api-token-spec.ts";
import { GROUP, VERSION } from "./group.ts";
import { ownerBlockSpecSchema } from "./owner-block.ts";
import { policySpecSchema } from "./policy.ts";

type Json = { [key: string]: unknown };

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status?: Json;
  readonly columns: readonly Json[];
}

/** The CustomResourceDefinitions, as `crds/` holds them, by file name. */
export function buildCrds(): Record<string, Json> {
  return Object.fromEntries(DEFINITIONS.map((definition) => [`${definition.plural}.yaml`, buildCrd(definition)]));
}

function buildCrd(definition: Definition): Json {
  const { kind, plural, shortNames, scope, status, columns } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          ...(status === undefined ? {} : { subresources: { status: {} } }),
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: buildRootSchema(definition) },
        },
      ],
    },
  };
}

function buildRootSchema({ description, spec, status }: Definition): Json {
  return {
    description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: buildSpecSchema(spec),
      ...(status === undefined ? {} : { status }),
    },
  };
}

/**
 * `owner` is not among the required fields: the API server reports a missing required field without a remedy, and
 * before any CEL rule has its say. The CEL rule has(self.owner) requires it instead.
 */
function buildSpecSchema(spec: z.ZodType): Json {
  const { required = [], ...schema } = toStructuralSchema(
    z.toJSONSchema(spec, { target: "openapi-3.0", io: "input" }),
  ) as Json & { required?: string[] };
  const others = required.filter((field) => field !== "owner");
  return others.length === 0 ? schema : { ...schema, required: others };
}

/** Drops what zod writes and a structural schema may not have: closed objects, and patterns beside a format. */
function toStructuralSchema(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(toStructuralSchema);
  if (typeof node !== "object" || node === null) return node;
  const kept = Object.entries(node).filter(
    ([key, value]) =>
      !(key === "additionalProperties" && value === false) &&
      !(key === "pattern" && "format" in node) &&
      key !== "propertyNames",
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, key === "default" ? value : toStructuralSchema(value)]));
}

const TIME = { type: "string", format: "date-time" };

const API_TOKEN_STATUS: Json = {
  description: "What the controller saw in its last pass. Never the token, never its hash.",
  type: "object",
  properties: {
    observedGeneration: { type: "integer", format: "int64" },
    conditions: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
      items: {
        type: "object",
        required: ["type", "status", "lastTransitionTime", "reason", "message"],
        properties: {
          type: { type: "string" },
          status: { type: "string", enum: ["True", "False", "Unknown"] },
          reason: { type: "string" },
          message: { type: "string" },
          observedGeneration: { type: "integer", format: "int64" },
          lastTransitionTime: TIME,
        },
      },
    },
    tokenId: { type: "string", description: "The public id of the current token." },
    revision: { type: "integer", format: "int64", description: "How many tokens this ApiToken has had." },
    secretName: { type: "string" },
    policy: { type: "string", description: "The ApiTokenPolicy that applied." },
    issuedAt: TIME,
    expiresAt: TIME,
    renewAt: TIME,
    lastUsedAt: TIME,
    lastHandledRotateAt: { type: "string" },
    failedAttempts: { type: "integer", format: "int64" },
    previous: {
      type: "object",
      description: "The token before the current one, while its overlap lasts.",
      properties: { tokenId: { type: "string" }, validUntil: TIME, lastUsedAt: TIME },
    },
    effective: {
      type: "object",
      description: "What the token really has, after defaults and limits.",
      properties: { duration: { type: "string" }, scopes: { type: "array", items: { type: "string" } } },
    },
  },
};

const OWNER_BLOCK_STATUS: Json = {
  description: "What the controller saw and did in its last pass.",
  type: "object",
  properties: {
    observedGeneration: { type: "integer", format: "int64" },
    effective: { type: "boolean", description: "Whether the block holds now." },
    tokensRevoked: { type: "integer", format: "int64", description: "How many tokens it has ended so far." },
    erased: { type: "boolean", description: "Whether the owner's rows are gone." },
    message: { type: "string" },
  },
};

const column = (name: string, jsonPath: string, rest: Json = {}): Json => ({ name, type: "string", jsonPath, ...rest });
const AGE = column("Age", ".metadata.creationTimestamp", { type: "date" });

const DEFINITIONS: readonly Definition[] = [
  {
    kind: "ApiToken",
    plural: "apitokens",
    shortNames: ["apitok"],
    scope: "Namespaced",
    description: "An API token: issued to a Secret, kept as a keyed hash in Postgres, revoked with this resource.",
    spec: apiTokenSpecSchema,
    status: API_TOKEN_STATUS,
    columns: [
      column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
      column("Owner", ".spec.owner"),
      column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
      // Not of type date: kubectl writes that as an age, and a time ahead as <invalid>.
      column("Expires", ".status.expiresAt"),
      column("Renews", ".status.renewAt"),
      AGE,
      column("Last Used", ".status.lastUsedAt", { priority: 1 }),
      column("Token ID", ".status.tokenId", { priority: 1 }),
      column("Secret", ".status.secretName", { priority: 1 }),
    ],
  },
  {
    kind: "ApiTokenPolicy",
    plural: "apitokenpolicies",
    shortNames: ["apitokpol"],
    scope: "Cluster",
    description: "What ApiTokens in the namespaces that it selects may ask for.",
    spec: policySpecSchema,
    columns: [
      column("Priority", ".spec.priority", { type: "integer" }),
      column("Max Duration", ".spec.maxDuration"),
      column("Per Owner", ".spec.maxTokensPerOwner", { type: "integer" }),
      column("On Limit", ".spec.onLimit"),
      AGE,
    ],
  },
  {
    kind: "OwnerBlock",
    plural: "ownerblocks",
    shortNames: ["ownblk"],
    scope: "Cluster",
    description: "Offboarding: while it stands, the owner's tokens are revoked and none is issued.",
    spec: ownerBlockSpecSchema,
    status: OWNER_BLOCK_STATUS,
    columns: [
      column("Owner", ".spec.owner"),
      column("Effective", ".status.effective", { type: "boolean" }),
      column("Revoked", ".status.tokensRevoked", { type: "integer" }),
      column("Reason", ".spec.reason"),
      AGE,
    ],
  },
];
