/*
 * Builds the CRDs from the zod schemas that the controller reads specs with, so that the API server accepts only what the
 * controller can read.
 */
import { z } from "zod";
import { apiTokenSpecSchema } from "../resources/api-token-spec.ts";
import { GROUP, VERSION } from "../resources/group.ts";
import { ownerBlockSpecSchema } from "../resources/owner-block.ts";
import { policySpecSchema } from "../resources/policy.ts";
import { API_TOKEN_STATUS, OWNER_BLOCK_STATUS, POLICY_STATUS } from "./status-schema.ts";

type Json = { [key: string]: unknown };

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: Json;
  readonly columns: readonly Json[];
  /** Fields by which the API server can select objects of a list, so that it need not send all (KEP-4358). */
  readonly selectable?: readonly string[];
}

/**
 * `kubectl get` with it lists our resources of all kinds. Not a name that a kind has: kubectl prefers categories, so that
 * `kubectl get apitoken demo` would then look for policies and blocks of that name, too.
 */
const CATEGORY = "apitoken-operator";

/** The CustomResourceDefinitions by their file names in `crds/`. */
export function buildCrds(): Record<string, Json> {
  return Object.fromEntries(DEFINITIONS.map((definition) => [`${definition.plural}.yaml`, buildCrd(definition)]));
}

function buildCrd(definition: Definition): Json {
  const { kind, plural, shortNames, scope, columns, selectable = [] } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: [CATEGORY],
      },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          ...(selectable.length === 0 ? {} : { selectableFields: selectable.map((jsonPath) => ({ jsonPath })) }),
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
      status,
    },
  };
}

/**
 * `owner` is not among the required fields: the API server reports a missing required field without a remedy, and
 * before it evaluates any CEL rule. The CEL rule has(self.owner) requires it instead.
 */
function buildSpecSchema(spec: z.ZodType): Json {
  const { required = [], ...schema } = toStructuralSchema(
    z.toJSONSchema(spec, { target: "openapi-3.0", io: "input" }),
  ) as Json & { required?: string[] };
  const others = required.filter((field) => field !== "owner");
  return others.length === 0 ? schema : { ...schema, required: others };
}

/** Drops what zod writes but a structural schema must not contain: closed objects, and patterns next to a format. */
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

const column = (name: string, jsonPath: string, rest: Json = {}): Json => ({ name, type: "string", jsonPath, ...rest });
const AGE = column("Age", ".metadata.creationTimestamp", { type: "date" });

const DEFINITIONS: readonly Definition[] = [
  {
    kind: "ApiToken",
    plural: "apitokens",
    shortNames: ["apitok"],
    scope: "Namespaced",
    description:
      "An API token for one owner: issued, written to a Secret, rotated before it expires, and revoked when this resource, an OwnerBlock or the policy requires it. Postgres stores only a keyed hash of it.",
    spec: apiTokenSpecSchema,
    status: API_TOKEN_STATUS,
    selectable: [".spec.owner", ".status.tokenId", ".status.previous.tokenId"],
    columns: [
      column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
      column("Owner", ".spec.owner"),
      column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
      // Not of type date: kubectl prints that as an age, and a time in the future as <invalid>.
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
    description:
      "Defines what ApiTokens in the selected namespaces may ask for, and how many of them one owner may have. In a namespace that no ApiTokenPolicy selects, no token is issued.",
    spec: policySpecSchema,
    status: POLICY_STATUS,
    columns: [
      column("Accepted", '.status.conditions[?(@.type=="Accepted")].status'),
      column("Priority", ".spec.priority", { type: "integer" }),
      column("Max Duration", ".spec.maxDuration"),
      column("Per Owner", ".spec.maxTokensPerOwner", { type: "integer" }),
      column("On Limit", ".spec.onLimit"),
      column("Namespaces", ".status.namespaces", { type: "integer" }),
      column("ApiTokens", ".status.apiTokens", { type: "integer" }),
      AGE,
      column("Message", '.status.conditions[?(@.type=="Accepted")].message', { priority: 1 }),
    ],
  },
  {
    kind: "OwnerBlock",
    plural: "ownerblocks",
    shortNames: ["ownblk"],
    scope: "Cluster",
    description:
      "Offboarding: while this resource exists and is in effect, every token of the owner is revoked and none is issued, in all clusters that share the database. Deleting it lifts the block; revoked tokens stay revoked.",
    spec: ownerBlockSpecSchema,
    status: OWNER_BLOCK_STATUS,
    columns: [
      column("Owner", ".spec.owner"),
      column("Effective", '.status.conditions[?(@.type=="Effective")].status'),
      column("Reason", '.status.conditions[?(@.type=="Effective")].reason'),
      column("Revoked", ".status.tokensRevoked", { type: "integer" }),
      column("Erased", '.status.conditions[?(@.type=="Erased")].status'),
      AGE,
      column("ApiTokens", ".status.apiTokens", { type: "integer", priority: 1 }),
      column("Accepted", ".status.acceptedTokens", { type: "integer", priority: 1 }),
      column("Because", ".spec.reason", { priority: 1 }),
    ],
  },
];
