/*
 * Secrets hold plaintext tokens, and a cache of plaintext would end up in heap dumps. So Secrets are reduced on arrival
 * to HMACs of their values, which are enough to tell which token a Secret holds.
 */
import { shareText } from "../../runtime/sharing.ts";
import { TOKEN_ID_ANNOTATION } from "../../token/decoration.ts";
import { hashToken, type Keyring } from "../../token/keyring.ts";
import { FEW, type Fields, TOO_LARGE } from "../json-fields.ts";
import { API_VERSION, GROUP, IDENTITY_FIELDS, MANAGED_LABEL, type ObjectMeta, type OwnerReference } from "./group.ts";

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

/** Characters of labels and annotations: more than most specs ask for. */
const KEPT_CHARACTERS = 32_768;

/** Users cannot choose the type, because tools treat Secrets of other types in special ways. */
export const SECRET_TYPE = "Opaque";

/** What is read of a large Secret in a list or a watch: what is too large to be cached is not parsed. */
export const CACHED_SECRET_FIELDS = {
  metadata: { ...IDENTITY_FIELDS, labels: "bounded", annotations: "bounded", ownerReferences: "bounded" },
  type: "whole",
  immutable: "whole",
  data: "bounded",
} as const satisfies Fields;

/** What is read of a large Secret that an ApiToken names. The API server bounds the size of annotations and data. */
export const SECRET_FIELDS = {
  ...CACHED_SECRET_FIELDS,
  metadata: { ...CACHED_SECRET_FIELDS.metadata, annotations: "whole" },
  data: "few",
} as const satisfies Fields;

/** Reduces a Secret to what may be kept of it during a pass. Of one that is too large to be ours, that is its identity. */
export function reduceSecret(raw: unknown, keyring: Keyring): SecretView {
  const { metadata, data = {}, immutable, type } = raw as Secret;
  const { name, namespace, uid, resourceVersion, labels = {}, annotations = {} } = metadata;
  const view = {
    metadata: { name, namespace, uid, resourceVersion, labels, annotations },
    owner: findOwner(raw),
    mustReplace: immutable === true || type !== SECRET_TYPE,
  };
  const isTooLarge = [labels, annotations, metadata.ownerReferences, data].some(
    (field: unknown) => field === TOO_LARGE,
  );
  // One with more keys is not worth correcting: hashing the values of 100,000 would stop everything else for a second.
  if (isTooLarge || Object.keys(data).length > FEW) return { ...abridge(view), mustReplace: true };
  return {
    ...view,
    fingerprints: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, fingerprint(Buffer.from(value, "base64"), keyring)]),
    ),
    isAbridged: false,
  };
}

/** Reduces a Secret to what may be cached of it. Values of which nothing is kept are not hashed either. */
export function reduceForCache(raw: unknown, keyring: Keyring): SecretView {
  const owner = findOwner(raw);
  const isControlled = owner !== undefined && isApiToken(owner);
  return abridgeSecret(reduceSecret(isControlled ? raw : { ...(raw as Secret), data: {} }, keyring));
}

/**
 * What a cache keeps of a view. Anyone who may create Secrets can label them as ours, in any number and size: of those that
 * no ApiToken controls, or that are larger than ours ever are, only the identity and the owner are kept.
 */
export function abridgeSecret(view: SecretView): SecretView {
  const { labels, annotations } = view.metadata;
  const isControlled = view.owner !== undefined && isApiToken(view.owner);
  const isSmall =
    countCharacters(labels) + countCharacters(annotations) <= KEPT_CHARACTERS &&
    Object.keys(view.fingerprints).length <= KEPT_KEYS;
  return isControlled && isSmall ? shareDecoration(view) : abridge(view);
}

const OUR_LABELS = { [MANAGED_LABEL]: "true" };

/** Nearly all of our Secrets have the same label alone, and annotations that differ in the token's id only. */
function shareDecoration(view: SecretView): SecretView {
  const { labels, annotations } = view.metadata;
  const shared = Object.entries(annotations).map(([key, value]) => [
    key,
    key === TOKEN_ID_ANNOTATION ? value : shareText(value),
  ]);
  const isUsual = labels[MANAGED_LABEL] === "true" && Object.keys(labels).length === 1;
  return {
    ...view,
    metadata: {
      ...view.metadata,
      namespace: shareText(view.metadata.namespace),
      labels: isUsual ? OUR_LABELS : labels,
      annotations: Object.fromEntries(shared),
    },
  };
}

function abridge({ metadata, owner, mustReplace }: Pick<SecretView, "metadata" | "owner" | "mustReplace">): SecretView {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    metadata: { name, namespace, uid, resourceVersion, labels: {}, annotations: {} },
    owner: owner !== undefined && isApiToken(owner) ? owner : undefined,
    mustReplace,
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

/** The controlling owner. To save memory, all references to ApiTokens share one string for their version. */
function findOwner(raw: unknown): OwnerReference | undefined {
  const { ownerReferences = [] } = (raw as Secret).metadata;
  const isRead = Array.isArray(ownerReferences);
  const owner = isRead ? ownerReferences.find(({ controller }) => controller === true) : undefined;
  return owner?.apiVersion === API_VERSION ? { ...owner, apiVersion: API_VERSION } : owner;
}

function fingerprint(value: Buffer, keyring: Keyring): Record<string, Fingerprint> {
  return Object.fromEntries(keyring.peppers.map((pepper) => [pepper.id, hashToken(value, pepper).toString("base64")]));
}
