/*
 * A pass over one ApiToken must find its Secrets, its policies and the other ApiTokens of its owner without a call to
 * the API server. So the caches, and the indexes that make those look-ups cheap, are defined in one place.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import type { NamespaceView } from "../../kube/resources/namespace.ts";
import type { OwnerBlock } from "../../kube/resources/owner-block.ts";
import type { PolicyResource } from "../../kube/resources/policy.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import { createStore, type Store } from "../../kube/store.ts";

/** Filled by the reflectors and keyed by "namespace/name", or by "name" for what has no namespace. */
export interface Caches {
  readonly apiTokens: Store<ApiToken>;
  /** Only the Secrets that carry our label. */
  readonly secrets: Store<SecretView>;
  readonly policies: Store<PolicyResource>;
  readonly namespaces: Store<NamespaceView>;
  readonly ownerBlocks: Store<OwnerBlock>;
}

/** Index of `Caches.secrets`: by the ApiToken that controls them, as `ownerKeyOf` writes it. */
export const SECRETS_BY_OWNER = "owner";

/** Indexes of `Caches.apiTokens`: by the owner in the spec, and by namespace. */
export const APITOKENS_BY_OWNER = "owner";
export const APITOKENS_BY_NAMESPACE = "namespace";

/** Index of `Caches.ownerBlocks`: by the owner in the spec. */
export const BLOCKS_BY_OWNER = "owner";

export function createCaches(): Caches {
  return {
    apiTokens: createStore<ApiToken>({
      [APITOKENS_BY_OWNER]: ownerOf,
      [APITOKENS_BY_NAMESPACE]: ({ metadata }) => metadata.namespace,
    }),
    secrets: createStore<SecretView>({
      [SECRETS_BY_OWNER]: ({ metadata, owner }) => owner && ownerKeyOf(metadata.namespace, owner.uid),
    }),
    policies: createStore<PolicyResource>(),
    namespaces: createStore<NamespaceView>(),
    ownerBlocks: createStore<OwnerBlock>({ [BLOCKS_BY_OWNER]: ownerOf }),
  };
}

/** The owner in the spec of an ApiToken or an OwnerBlock. */
export function ownerOf({ spec }: { readonly spec: unknown }): string | undefined {
  return (spec as { owner?: string } | undefined)?.owner;
}

/** Includes the namespace, so that a uid copied into many Secrets elsewhere does not slow down its ApiToken's passes. */
export function ownerKeyOf(namespace: string, uid: string): string {
  return `${namespace}/${uid}`;
}

/** The key of a namespaced object in the queues and the caches. */
export function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/** The namespace of the object with this key. */
export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
