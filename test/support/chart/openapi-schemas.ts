import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubeTransport } from "../../../src/kube/transport.ts";

interface Schema {
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-group-version-kind"?: { group: string; version: string; kind: string }[];
}

interface OpenApi {
  readonly components?: { readonly schemas?: Record<string, Schema> };
}

/**
 * Writes a JSON schema for each kind that the API server serves, our own included, as kubeconform looks for them with the
 * location that is returned. Each object takes the fields that it knows alone: the API server's own documents say nothing
 * about others, and kubeconform's -strict asks for schemas that do.
 */
export async function writeSchemas(transport: KubeTransport, folder: string): Promise<string> {
  const { paths } = await transport.request<{ paths: Record<string, { serverRelativeURL: string }> }>(
    "GET",
    "/openapi/v3",
  );
  for (const [path, { serverRelativeURL }] of Object.entries(paths)) {
    if (!/^apis?\//.test(path)) continue;
    const [address = "", query = ""] = serverRelativeURL.split("?");
    const options = { query: Object.fromEntries(new URLSearchParams(query)), timeoutMs: 60_000 };
    const document = await transport.request<OpenApi>("GET", address, options);
    writeKinds(document.components?.schemas ?? {}, folder);
  }
  return `${folder}/{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json`;
}

function writeKinds(schemas: Record<string, Schema>, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const schema of Object.values(schemas)) close(schema);
  for (const [name, schema] of Object.entries(schemas)) {
    const kinds = schema["x-kubernetes-group-version-kind"] ?? [];
    const [only] = kinds;
    if (kinds.length !== 1 || only === undefined) continue; // such as DeleteOptions, which all groups have
    const group = only.group || only.version; // as kubeconform has it
    const file = `${group}_${only.version}_${only.kind.toLowerCase()}.json`;
    const reference = { $ref: `#/components/schemas/${name}` };
    writeFileSync(join(folder, file), JSON.stringify({ ...reference, components: { schemas } }));
  }
}

/** Forbids unknown fields, at every depth. References lead to schemas that are closed themselves. */
function close(schema: unknown): void {
  if (typeof schema !== "object" || schema === null) return;
  const { properties, additionalProperties, "x-kubernetes-preserve-unknown-fields": isOpen } = schema as Schema;
  for (const each of Object.values(schema)) close(each);
  if (properties === undefined || additionalProperties !== undefined || isOpen) return;
  if (typeof properties === "object" && !("type" in properties && typeof properties.type === "string")) {
    (schema as Schema).additionalProperties = false;
  }
}
