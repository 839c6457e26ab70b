import { hashToken, type Keyring } from "../../token/keyring.ts";
import { API_VERSION, type ObjectMeta, type OwnerReference } from "./group.ts";

/** A Secret as the API server gives it. */
export interface Secret {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta & { readonly namespace: string };
  readonly type?: string;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** The 32 bytes of an HMAC in base64: of tens of thousands of Buffers each would take five times the memory. */
export type Fingerprint = string;

/**
 * What is kept of a Secret: never its values. `fingerprints` has for each key of its data the HMAC of the value under
 * each pepper, which is what the hash column of the token's row holds too.
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
  /** Whether it is of a kind that no update can bring in line: immutable, or not Opaque. */
  readonly mustReplace: boolean;
  readonly fingerprints: Readonly<Record<string, Readonly<Record<string, Fingerprint>>>>;
}

/** A user never chooses it: tools treat Secrets of other types in ways of their own. */
export const SECRET_TYPE = "Opaque";

/** Reduces a Secret on entry, so that no plaintext is cached. */
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

/** Of our own references one text of their version is enough. */
function reduceOwner(references: readonly OwnerReference[]): OwnerReference | undefined {
  const owner = references.find(({ controller }) => controller === true);
  return owner?.apiVersion === API_VERSION ? { ...owner, apiVersion: API_VERSION } : owner;
}

function fingerprint(value: Buffer, keyring: Keyring): Record<string, Fingerprint> {
  return Object.fromEntries(keyring.peppers.map((pepper) => [pepper.id, hashToken(value, pepper).toString("base64")]));
}
