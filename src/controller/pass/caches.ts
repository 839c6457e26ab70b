/*
 * The caches that the reflectors keep filled, and the indexes that passes look things up by.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import type { NamespaceView } from "../../kube/resources/namespace.ts";
import type { OwnerBlock } from "../../kube/resources/owner-block.ts";
import type { PolicyResource } from "../../kube/resources/policy.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import { createStore, type Store } from "../../kube/store.ts";

/** The caches that the reflectors fill, keyed by "namespace/name". */
export interface Caches {
  readonly apiTokens: Store<ApiToken>;
  /** The Secrets that carry our label. */
  readonly secrets: Store<SecretView>;
  readonly policies: Store<PolicyResource>;
  readonly namespaces: Store<NamespaceView>;
  readonly ownerBlocks: Store<OwnerBlock>;
}

/** The index of `Caches.secrets` by the uid of the controlling owner. */
export const SECRETS_BY_OWNER = "owner";

/** The indexes of `Caches.apiTokens` by the owner in the spec, and by namespace. */
export const APITOKENS_BY_OWNER = "owner";
export const APITOKENS_BY_NAMESPACE = "namespace";

/** Empty caches with their indexes. */
export function createCaches(): Caches {
  return {
    apiTokens: createStore<ApiToken>({
      [APITOKENS_BY_OWNER]: ({ spec }) => (spec as { owner?: string } | undefined)?.owner,
      [APITOKENS_BY_NAMESPACE]: ({ metadata }) => metadata.namespace,
    }),
    secrets: createStore<SecretView>({ [SECRETS_BY_OWNER]: ({ owner }) => owner?.uid }),
    policies: createStore<PolicyResource>(),
    namespaces: createStore<NamespaceView>(),
    ownerBlocks: createStore<OwnerBlock>(),
  };
}

/** The key of an object in queue and caches. */
export function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
