/*
 * Secrets hold plaintext tokens, and a cache of plaintext would end up in heap dumps. So Secrets are reduced on arrival
 * to HMACs of their values, which are enough to tell which token a Secret holds.
 */
import { hashToken, type Keyring } from "../../token/keyring.ts";
import { API_VERSION, type ObjectMeta, type OwnerReference } from "./group.ts";

/** A Secret as the API server returns it. */
export interface Secret {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** The 32 bytes of an HMAC in base64. As a Buffer each would take five times the memory, tens of thousands of times. */
export type Fingerprint = string;

/**
 * What is cached of a Secret: never its values. `fingerprints` holds, for each key of its data, the HMAC of the value
 * under each pepper. The hash column of the token's row holds the same HMAC, or a bcrypt hash of it.
 */
export interface SecretView {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  /** The controlling owner, if there is one. */
  readonly owner: OwnerReference | undefined;
  /** Whether it must be deleted and created again, because no update can correct it: it is immutable or not Opaque. */
  readonly mustReplace: boolean;
  readonly fingerprints: Readonly<Record<string, Readonly<Record<string, Fingerprint>>>>;
}

/** Users cannot choose the type, because tools treat Secrets of other types in special ways. */
export const SECRET_TYPE = "Opaque";

/** Reduces a Secret to what may be cached. */
export function reduceSecret(raw: unknown, keyring: Keyring): SecretView {
  const { metadata, data = {}, immutable, type } = raw as Secret;
  const { name, namespace, uid, resourceVersion, labels = {}, annotations = {}, ownerReferences = [] } = metadata;
  return {
    metadata: { name, namespace, uid, resourceVersion, labels, annotations },
    owner: reduceOwner(ownerReferences),
    mustReplace: immutable === true || type !== SECRET_TYPE,
    fingerprints: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, fingerprint(Buffer.from(value, "base64"), keyring)]),
    ),
  };
}

/** Saves memory: all references to ApiTokens share one string for their version. */
function reduceOwner(references: readonly OwnerReference[]): OwnerReference | undefined {
  const owner = references.find(({ controller }) => controller === true);
  return owner?.apiVersion === API_VERSION ? { ...owner, apiVersion: API_VERSION } : owner;
}

function fingerprint(value: Buffer, keyring: Keyring): Record<string, Fingerprint> {
  return Object.fromEntries(keyring.peppers.map((pepper) => [pepper.id, hashToken(value, pepper).toString("base64")]));
}
