import { z } from "zod";
import { apiTokenSpecSchema } from "./api-token.ts";
import { GROUP, VERSION } from "./group.ts";

type Json = { [key: string]: unknown };

/** The CustomResourceDefinition of ApiToken, as `crds/` holds it. */
export function buildApiTokenCrd(): Json {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `apitokens.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: "ApiToken",
        listKind: "ApiTokenList",
        plural: "apitokens",
        singular: "apitoken",
        shortNames: ["apitok"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: PRINTER_COLUMNS,
          schema: { openAPIV3Schema: buildRootSchema() },
        },
      ],
    },
  };
}

const PRINTER_COLUMNS = [
  { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: "Owner", type: "string", jsonPath: ".spec.owner" },
  { name: "Reason", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
  // Not of type date: kubectl writes that as an age, and a time ahead as <invalid>.
  { name: "Expires", type: "string", jsonPath: ".status.expiresAt" },
  { name: "Renews", type: "string", jsonPath: ".status.renewAt" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "Last Used", type: "string", jsonPath: ".status.lastUsedAt", priority: 1 },
  { name: "Token ID", type: "string", jsonPath: ".status.tokenId", priority: 1 },
  { name: "Secret", type: "string", jsonPath: ".status.secretName", priority: 1 },
];

function buildRootSchema(): Json {
  return {
    description: "An API token: issued to a Secret, kept as a keyed hash in Postgres, revoked with this resource.",
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: buildSpecSchema(),
      status: STATUS_SCHEMA,
    },
  };
}

/**
 * `owner` is not among the required fields: the API server reports a missing required field without a remedy, and
 * before any CEL rule has its say. The CEL rule has(self.owner) requires it instead.
 */
function buildSpecSchema(): Json {
  const { required, ...schema } = toStructuralSchema(
    z.toJSONSchema(apiTokenSpecSchema, { target: "openapi-3.0", io: "input" }),
  ) as Json & { required: string[] };
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

const STATUS_SCHEMA: Json = {
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
