/*
 * Every call that reads or writes a Secret. Writes are patches of single fields on the observed version, because a
 * Secret may also carry labels, annotations and finalizers of other tools.
 */
import type { Decoration, DecorationPatch } from "../../token/decoration.ts";
import { undefinedIfMissing } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import type { OwnerReference } from "./group.ts";
import { SECRET_FIELDS, SECRET_TYPE, type Secret, type SecretView } from "./secret.ts";

/** The path of the Secrets of one namespace, or of all namespaces. */
export function secretsPath(namespace?: string): string {
  return `/api/v1${namespace === undefined ? "" : `/namespaces/${namespace}`}/secrets`;
}

/** Reads a Secret consistently, bypassing all caches; undefined if it does not exist. */
export async function getSecret(
  transport: KubeTransport,
  namespace: string,
  name: string,
): Promise<Secret | undefined> {
  return transport
    .request<Secret>("GET", `${secretsPath(namespace)}/${name}`, { fields: SECRET_FIELDS })
    .catch(undefinedIfMissing);
}

/** Creates a Secret. Throws a KubeApiError with code 409 if any Secret of that name exists. */
export async function createSecret(
  transport: KubeTransport,
  secret: {
    namespace: string;
    name: string;
    owner?: OwnerReference;
    decoration: Decoration;
    values: Readonly<Record<string, string>>;
  },
): Promise<Secret> {
  const { namespace, name, owner, decoration, values } = secret;
  return transport.request<Secret>("POST", secretsPath(namespace), {
    fields: SECRET_FIELDS,
    body: {
      apiVersion: "v1",
      kind: "Secret",
      type: SECRET_TYPE,
      metadata: { namespace, name, ...decoration, ...(owner === undefined ? {} : { ownerReferences: [owner] }) },
      data: encodeValues(values),
    },
  });
}

/** A change of a Secret's metadata: its decoration, and perhaps its owner references. */
export interface MetadataPatch extends Partial<DecorationPatch> {
  readonly ownerReferences?: readonly OwnerReference[];
}

/**
 * Replaces all values of a Secret, and patches its metadata, in one update. Throws a KubeApiError with code 409 if the
 * Secret has changed since it was observed.
 */
export async function replaceSecretValues(
  transport: KubeTransport,
  seen: SecretView,
  values: Readonly<Record<string, string>>,
  metadata: MetadataPatch,
): Promise<Secret> {
  const dropped = Object.keys(seen.fingerprints).filter((key) => !Object.hasOwn(values, key));
  const data = { ...encodeValues(values), ...Object.fromEntries(dropped.map((key) => [key, null])) };
  return patchSecret(transport, seen, metadata, { data });
}

/** Sets one value of a Secret. Throws a KubeApiError with code 409 if the Secret has changed since it was read. */
export async function setSecretValue(
  transport: KubeTransport,
  seen: Secret,
  key: string,
  value: string,
): Promise<Secret> {
  return patchSecret(transport, seen, {}, { data: encodeValues({ [key]: value }) });
}

/** Patches only the metadata. Throws a KubeApiError with code 409 if the Secret has changed since it was observed. */
export async function decorateSecret(
  transport: KubeTransport,
  seen: SecretView,
  metadata: MetadataPatch,
): Promise<Secret> {
  return patchSecret(transport, seen, metadata, {});
}

/**
 * Deletes the Secret on the observed version; otherwise throws a KubeApiError with code 409. If it is gone, does nothing.
 */
export async function deleteSecret(transport: KubeTransport, seen: SecretView): Promise<void> {
  const { namespace, name, uid, resourceVersion } = seen.metadata;
  const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid, resourceVersion } };
  await transport.request("DELETE", `${secretsPath(namespace)}/${name}`, { body }).catch(undefinedIfMissing);
}

function patchSecret(
  transport: KubeTransport,
  seen: Pick<Secret | SecretView, "metadata">,
  metadata: object,
  rest: object,
): Promise<Secret> {
  const { namespace, name, uid, resourceVersion } = seen.metadata;
  return transport.request<Secret>("PATCH", `${secretsPath(namespace)}/${name}`, {
    contentType: "application/merge-patch+json",
    fields: SECRET_FIELDS,
    body: { metadata: { uid, resourceVersion, ...metadata }, ...rest },
  });
}

function encodeValues(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
}
