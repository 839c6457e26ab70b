/*
 * kubeconform's built-in schemas know neither our kinds nor the Kubernetes version that the tests run on. So it is
 * given the schemas of the API server that the tests start, or those of the oldest Kubernetes that the chart is for.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCode } from "../../../src/kube/api-error.ts";
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
 * Writes a JSON schema for each kind that the API server serves, including ours. Returns the location pattern with
 * which kubeconform finds them. The schemas forbid unknown fields, as kubeconform's -strict requires; the API server's
 * own documents do not.
 */
export async function writeSchemas(transport: KubeTransport, folder: string): Promise<string> {
  await writeServed(transport, folder, () => true);
  return pattern(folder);
}

/**
 * Writes a JSON schema for each kind of a Kubernetes version, from the folder with its OpenAPI documents, and for each kind of a CRD
 * that the API server serves. Returns what `writeSchemas` does.
 */
export async function writeSchemasOf(documents: string, transport: KubeTransport, folder: string): Promise<string> {
  for (const file of readdirSync(documents).filter((name) => /^apis?__.*_openapi\.json$/.test(name))) {
    const { components }: OpenApi = JSON.parse(readFileSync(join(documents, file), "utf8"));
    writeKinds(components?.schemas ?? {}, folder);
  }
  await writeServed(transport, folder, (path) => path.includes(".") && !path.includes(".k8s.io/"));
  return pattern(folder);
}

const pattern = (folder: string) => `${folder}/{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json`;

async function writeServed(transport: KubeTransport, folder: string, isWanted: (path: string) => boolean) {
  const { paths } = await transport.request<{ paths: Record<string, unknown> }>("GET", "/openapi/v3");
  for (const path of Object.keys(paths)) {
    if (!/^apis?\//.test(path) || !isWanted(path)) continue;
    // Without the hash that the index gives: another test may change a CRD, and the server redirects from an old hash.
    const document = await readDocument(transport, path);
    writeKinds(document.components?.schemas ?? {}, folder);
  }
}

/** One group's document; an empty one when its last CRD has been deleted since the index was read. */
async function readDocument(transport: KubeTransport, path: string): Promise<OpenApi> {
  try {
    return await transport.request<OpenApi>("GET", `/openapi/v3/${path}`, { timeoutMs: 60_000 });
  } catch (error) {
    if (isCode(error, 404)) return {};
    throw error;
  }
}

function writeKinds(schemas: Record<string, Schema>, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const schema of Object.values(schemas)) close(schema);
  for (const [name, schema] of Object.entries(schemas)) {
    const kinds = schema["x-kubernetes-group-version-kind"] ?? [];
    const [only] = kinds;
    if (kinds.length !== 1 || only === undefined) continue; // a kind that many groups share, such as DeleteOptions
    const group = only.group || only.version; // as kubeconform names it
    const file = `${group}_${only.version}_${only.kind.toLowerCase()}.json`;
    const reference = { $ref: `#/components/schemas/${name}` };
    writeFileSync(join(folder, file), JSON.stringify({ ...reference, components: { schemas } }));
  }
}

/** Forbids unknown fields at every depth. Referenced schemas are closed separately. */
function close(schema: unknown): void {
  if (typeof schema !== "object" || schema === null) return;
  const { properties, additionalProperties, "x-kubernetes-preserve-unknown-fields": isOpen } = schema as Schema;
  for (const each of Object.values(schema)) close(each);
  if (properties === undefined || additionalProperties !== undefined || isOpen) return;
  if (typeof properties === "object" && !("type" in properties && typeof properties.type === "string")) {
    (schema as Schema).additionalProperties = false;
  }
}
