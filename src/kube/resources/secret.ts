/*
 * Secrets hold plaintext tokens, and a cache of plaintext would end up in heap dumps. So Secrets are reduced on arrival
 * to HMACs of their values, which are enough to tell which token a Secret holds.
 */
import { hashToken, type Keyring } from "../../token/keyring.ts";
import { API_VERSION, GROUP, type ObjectMeta, type OwnerReference } from "./group.ts";

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
  /** Whether this is only what `abridgeSecret` leaves of a view: then the rest must be read again to be used. */
  readonly isAbridged: boolean;
}

/** More keys than a spec can ask for. */
const KEPT_KEYS = 32;

/** Characters of labels and annotations: more than any spec asks for. */
const KEPT_CHARACTERS = 32_768;

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
    isAbridged: false,
  };
}

/**
 * What a cache keeps of a view. Anyone who may create Secrets can label them as ours, in any number and size: of those that
 * no ApiToken controls, or that are larger than ours ever are, only the identity and the owner are kept.
 */
export function abridgeSecret(view: SecretView): SecretView {
  const { name, namespace, uid, resourceVersion, labels, annotations } = view.metadata;
  const owner = view.owner !== undefined && isApiToken(view.owner) ? view.owner : undefined;
  const isSmall =
    countCharacters(labels) + countCharacters(annotations) <= KEPT_CHARACTERS &&
    Object.keys(view.fingerprints).length <= KEPT_KEYS;
  if (owner !== undefined && isSmall) return view;
  return {
    metadata: { name, namespace, uid, resourceVersion, labels: {}, annotations: {} },
    owner,
    mustReplace: view.mustReplace,
    fingerprints: {},
    isAbridged: true,
  };
}

/** Whether an owner reference can lead to an ApiToken. The API server accepts names, uids and versions of any length there. */
export function isApiToken({ apiVersion, kind, name, uid }: OwnerReference): boolean {
  const isOurs = kind === "ApiToken" && apiVersion.startsWith(`${GROUP}/`) && apiVersion.length <= 64;
  return isOurs && name.length <= 253 && !name.includes("/") && uid.length <= 64;
}

function countCharacters(texts: Readonly<Record<string, string>>): number {
  return Object.entries(texts).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}

/** Saves memory: all references to ApiTokens share one string for their version. */
function reduceOwner(references: readonly OwnerReference[]): OwnerReference | undefined {
  const owner = references.find(({ controller }) => controller === true);
  return owner?.apiVersion === API_VERSION ? { ...owner, apiVersion: API_VERSION } : owner;
}

function fingerprint(value: Buffer, keyring: Keyring): Record<string, Fingerprint> {
  return Object.fromEntries(keyring.peppers.map((pepper) => [pepper.id, hashToken(value, pepper).toString("base64")]));
}
