/*
 * The one place that knows which change concerns which ApiTokens. A Secret concerns its owner, a policy or a
 * namespace's labels concern whole namespaces; a change that is mapped too narrowly here is noticed only by the hourly
 * housekeeping.
 */
import { isDeepStrictEqual } from "node:util";
import type { Change } from "../kube/intake.ts";
import { type Reflector, type ReflectorOptions, startReflector } from "../kube/reflector.ts";
import { API_TOKEN_FIELDS, type ApiToken, reduceApiToken } from "../kube/resources/api-token.ts";
import { apiTokensPath } from "../kube/resources/api-token-api.ts";
import { MANAGED_LABEL } from "../kube/resources/group.ts";
import { NAMESPACE_FIELDS, NAMESPACES_PATH, type NamespaceView, reduceNamespace } from "../kube/resources/namespace.ts";
import { OWNER_BLOCK_FIELDS, OWNER_BLOCKS_PATH, reduceOwnerBlock } from "../kube/resources/owner-block.ts";
import { POLICIES_PATH, POLICY_FIELDS, type PolicyResource, reducePolicy } from "../kube/resources/policy.ts";
import { CACHED_SECRET_FIELDS, isApiToken, reduceForCache, type SecretView } from "../kube/resources/secret.ts";
import { secretsPath } from "../kube/resources/secret-api.ts";
import type { Stored } from "../kube/store.ts";
import type { KubeTransport } from "../kube/transport.ts";
import type { Logger } from "../runtime/log.ts";
import type { Keyring } from "../token/keyring.ts";
import { selects } from "../token/policy.ts";
import type { Leader } from "./leader/leader.ts";
import { APITOKENS_BY_NAMESPACE, type Caches, keyOf, ownerOf } from "./pass/caches.ts";
import { readPolicy } from "./pass/observe-policy.ts";

export interface WatchesOptions {
  readonly transport: KubeTransport;
  readonly caches: Caches;
  readonly keyring: Keyring;
  /** The namespaces whose ApiTokens and Secrets are watched; all if empty. */
  readonly namespaces: readonly string[];
  readonly leader: Leader;
  readonly log: Logger;
  readonly onRestart: (resource: string, reason: string) => void;
}

/** Starts to fill the caches, and requests a pass for each ApiToken that a change concerns. */
export function startWatches(options: WatchesOptions): Reflector[] {
  const { transport, caches, keyring, leader, log, onRestart } = options;
  const watch = <T extends Stored>(
    resource: string,
    rest: Omit<ReflectorOptions<T>, "transport" | "log" | "onRestart">,
  ) => startReflector<T>({ ...rest, transport, log, onRestart: (reason) => onRestart(resource, reason) });

  const places = options.namespaces.length > 0 ? options.namespaces : [undefined];
  return [
    watch<PolicyResource>("apitokenpolicies", {
      path: POLICIES_PATH,
      store: caches.policies,
      fields: POLICY_FIELDS,
      reduce: reducePolicy,
      onChange: (change) => {
        const { type, object, previous } = change;
        // A status that another operator, or a person, has written must not cause a pass over each ApiToken.
        if (type === "updated" && isDeepStrictEqual(object.spec, previous?.spec)) {
          leader.inbox?.reportPolicies();
          return;
        }
        leader.inbox?.reportPolicies("soon");
        for (const namespace of concernedNamespaces(caches, change)) enqueueNamespace(options, namespace);
      },
    }),
    watch<NamespaceView>("namespaces", {
      path: NAMESPACES_PATH,
      store: caches.namespaces,
      fields: NAMESPACE_FIELDS,
      reduce: reduceNamespace,
      onChange: ({ object, previous }) => {
        if (isDeepStrictEqual(object.metadata.labels, previous?.metadata.labels)) return;
        leader.inbox?.reportPolicies();
        enqueueNamespace(options, object.metadata.name);
      },
    }),
    watch("ownerblocks", {
      path: OWNER_BLOCKS_PATH,
      store: caches.ownerBlocks,
      fields: OWNER_BLOCK_FIELDS,
      reduce: reduceOwnerBlock,
      // Not for a status: several operators may report on a block, and none must answer to the report of another.
      onChange: ({ type, object, previous }) => {
        const isSame =
          type === "updated" &&
          object.metadata.uid === previous?.metadata.uid &&
          object.metadata.generation === previous.metadata.generation;
        if (!isSame) leader.inbox?.enqueueBlock(object.metadata.name);
      },
    }),
    ...places.flatMap((namespace) => [
      watch<ApiToken>("apitokens", {
        path: apiTokensPath(namespace),
        ...(namespace === undefined ? {} : { namespace }),
        store: caches.apiTokens,
        fields: API_TOKEN_FIELDS,
        reduce: reduceApiToken,
        onChange: ({ type, object }) => {
          leader.inbox?.enqueue(keyOf(object.metadata));
          const owner = type === "updated" ? undefined : ownerOf(object);
          if (owner !== undefined) leader.inbox?.enqueueBlocksOf(owner);
          if (type !== "updated") leader.inbox?.reportPolicies();
        },
      }),
      watch<SecretView>("secrets", {
        path: secretsPath(namespace),
        ...(namespace === undefined ? {} : { namespace }),
        labelSelector: `${MANAGED_LABEL}=true`,
        store: caches.secrets,
        fields: CACHED_SECRET_FIELDS,
        reduce: (raw) => reduceForCache(raw, keyring),
        // The previous owner too: if somebody has removed the owner reference, its pass restores it.
        onChange: ({ object, previous }) => {
          for (const owner of [object.owner, previous?.owner]) {
            if (owner !== undefined && isApiToken(owner)) {
              leader.inbox?.enqueue(keyOf({ namespace: object.metadata.namespace, name: owner.name }));
            }
          }
        },
      }),
    ]),
  ];
}

function enqueueNamespace({ caches, leader }: WatchesOptions, namespace: string): void {
  for (const { metadata } of caches.apiTokens.byIndex(APITOKENS_BY_NAMESPACE, namespace)) {
    leader.inbox?.enqueue(keyOf(metadata));
  }
}

/** The namespaces that a policy selects, or selected before the change. An unreadable policy concerns all of them. */
function* concernedNamespaces({ namespaces }: Caches, { object, previous }: Change<PolicyResource>): Iterable<string> {
  const versions = [object, ...(previous === undefined ? [] : [previous])].map((version) => readPolicy(version).policy);
  for (const { metadata } of namespaces.values()) {
    const isConcerned = versions.some(
      (policy) => policy === undefined || selects(policy.namespaceSelector, metadata.labels),
    );
    if (isConcerned) yield metadata.name;
  }
}
