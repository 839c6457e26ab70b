/*
 * The only place that carries out a plan. Each case of the switch is exactly one write: a crash between any two of them
 * leaves a state that the plan knows how to continue from, and only the plan decides the order of writes.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import { addFinalizer, removeFinalizer } from "../../kube/resources/api-token-api.ts";
import { FINALIZER, REQUESTER_ANNOTATION } from "../../kube/resources/group.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import {
  issueToken,
  type NewCredential,
  replaceToken,
  revokeTokens,
  takeOver,
  updateToken,
} from "../../postgres/token-writes.ts";
import { currentKey, hashToken } from "../../token/keyring.ts";
import { encryptMetadata } from "../../token/metadata-cipher.ts";
import type { AppliedPolicy, OwnerLimit } from "../../token/model.ts";
import type { Action } from "../../token/plan/action.ts";
import { combineRateLimits } from "../../token/rate-limit.ts";
import { createToken } from "../../token/token-string.ts";
import type { PassContext } from "./context.ts";
import type { Snapshot } from "./observe.ts";
import {
  decorateOwnSecret,
  deleteOwnSecret,
  type IssuedToken,
  releaseSecret,
  rewriteSecret,
  type SecretTarget,
  writeSecret,
} from "./secret-writes.ts";

/** What the actions of one plan share. It holds a token's plaintext between the writes of its row and its Secret. */
interface Execution extends SecretTarget {
  readonly context: PassContext;
  readonly key: string;
  /** Replaced when the finalizer is added: the next write needs the new resource version. */
  resource: ApiToken;
  readonly policy: AppliedPolicy;
  issued?: IssuedToken;
}

/** Carries out the actions in order. Stops at the first failure and throws it; the next pass observes what was done. */
export async function execute(
  context: PassContext,
  key: string,
  snapshot: Snapshot,
  actions: readonly Action[],
): Promise<void> {
  const execution = prepare(context, key, snapshot, actions);
  for (const action of actions) await executeAction(execution, action);
}

type Part = "resource" | "desired" | "policy";

/** The parts of the snapshot that each action cannot be carried out without. */
const NEEDS: Readonly<Record<Action["kind"], readonly Part[]>> = {
  addFinalizer: ["resource"],
  issueToken: ["resource", "desired", "policy"],
  replaceToken: ["desired", "policy"],
  takeOver: ["policy"],
  updateToken: ["desired", "policy"],
  writeSecret: ["resource", "desired"],
  rewriteSecret: ["resource", "desired"],
  decorateSecret: ["resource"],
  revokeTokens: [],
  deleteSecret: [],
  releaseSecret: [],
  removeFinalizer: ["resource"],
};

/** Throws before anything is written if the plan does not fit the snapshot, which would be a bug in the plan. */
function prepare(context: PassContext, key: string, snapshot: Snapshot, actions: readonly Action[]): Execution {
  const parts: { readonly [Name in Part]: Execution[Name] | undefined } = {
    resource: snapshot.resource,
    desired: snapshot.spec.desired,
    policy: snapshot.policy.applied,
  };
  for (const { kind } of actions) {
    const missing = NEEDS[kind].find((part) => parts[part] === undefined);
    if (missing !== undefined) throw new Error(`the plan for ${key} has ${kind}, but there is no ${missing}`);
  }
  // The cast is safe for these actions: each reads only the parts that NEEDS lists for it.
  return { context, key, snapshot, ...(parts as Pick<Execution, Part>) };
}

async function executeAction(execution: Execution, action: Action): Promise<void> {
  const { context } = execution;
  switch (action.kind) {
    case "addFinalizer":
      execution.resource = await addFinalizer(context.transport, execution.resource);
      context.caches.apiTokens.upsert(execution.resource);
      return;
    case "issueToken":
      return issue(execution, action);
    case "replaceToken": {
      const credential = await createCredential(execution, action);
      return withOwner(execution, credential.owner, (fence, limit) =>
        replaceToken(context.db, fence, action.tokenId, credential, limit),
      );
    }
    case "takeOver":
      return withOwner(execution, findOwner(execution, action.tokenId), (fence, limit) =>
        takeOver(context.db, fence, action.tokenId, limit),
      );
    case "updateToken": {
      const grant = describeGrant(execution, action.tokenId);
      return updateToken(context.db, await context.getFence(), action.tokenId, grant, action.expiresAt);
    }
    case "writeSecret":
      return writeSecret(context, execution, execution.issued, action);
    case "rewriteSecret":
      return rewriteSecret(context, execution, action);
    case "decorateSecret":
      return decorateOwnSecret(context, execution);
    case "revokeTokens": {
      const reason = action.note === undefined ? action.reason : `${action.reason}: ${action.note}`;
      return revokeTokens(context.db, await context.getFence(), action.tokenIds, reason, action.at);
    }
    case "deleteSecret":
      return deleteOwnSecret(context, execution.snapshot, action.name);
    case "releaseSecret":
      return releaseSecret(context, execution.snapshot, action.name);
    case "removeFinalizer":
      return finalize(execution);
  }
}

async function issue(execution: Execution, action: Action & { kind: "issueToken" }): Promise<void> {
  const { context } = execution;
  const { namespace, name, uid, creationTimestamp } = execution.resource.metadata;
  const row = {
    ...(await createCredential(execution, action)),
    namespace,
    name,
    resourceUid: uid,
    resourceCreatedAt: new Date(creationTimestamp ?? action.issuedAt),
    revision: action.revision,
    activeSince: action.activeSince,
    requestedBy: execution.resource.metadata.annotations?.[REQUESTER_ANNOTATION],
  };
  await withOwner(execution, row.owner, (fence, limit) => issueToken(context.db, fence, row, limit));
}

/** Runs a statement that locks the owner in the database. */
async function withOwner<T>(
  { context, key, policy }: Execution,
  owner: string,
  statement: (fence: Fence, limit: OwnerLimit) => Promise<T>,
): Promise<T> {
  const fence = await context.getFence();
  return context.ownerGate.run(owner, key, () => statement(fence, policy.owner));
}

/** The owner of a row that was observed, which is not yet that of the spec if the spec has just been changed. */
function findOwner({ snapshot }: Execution, tokenId: string): string {
  return snapshot.tokens.find(({ id }) => id === tokenId)?.owner ?? "";
}

/** Creates a token and what its row stores of it; keeps the plaintext for the Secret. */
async function createCredential(
  execution: Execution,
  { issuedAt, expiresAt }: { issuedAt: Date; expiresAt: Date },
): Promise<NewCredential> {
  const { context, snapshot } = execution;
  const pepper = currentKey(context.keyring.peppers, snapshot.observed.now);
  const token = createToken(context.tokenPrefix);
  const hash = await context.hasher.hash(hashToken(token.plaintext, pepper), context.hashMethod);
  execution.issued = { ...token, pepper, hash };
  return {
    ...describeGrant(execution, token.id),
    ...hash,
    expiresAt,
    id: token.id,
    keyId: pepper.id,
    issuedAt,
  };
}

function describeGrant({ context, snapshot, desired, policy }: Execution, tokenId: string) {
  const { owner, description, scopes, allowedCidrs, metadata } = desired;
  const { grace } = policy;
  const rateLimit = combineRateLimits(desired.rateLimit, policy.rateLimit);
  const key = currentKey(context.keyring.encryption, snapshot.observed.now);
  const encryptedMetadata = encryptMetadata(metadata, tokenId, key);
  return { owner, description, scopes, allowedCidrs, grace, rateLimit, encryptedMetadata };
}

/** Removing the last finalizer deletes the object. Its watch event may arrive later, so the cache is updated here. */
async function finalize({ context, key, resource }: Execution): Promise<void> {
  const { transport, caches } = context;
  const isLast = resource.metadata.finalizers?.every((finalizer) => finalizer === FINALIZER) ?? true;
  const result = await removeFinalizer(transport, resource);
  if (isLast) caches.apiTokens.remove(key, resource.metadata.uid);
  else caches.apiTokens.upsert(result);
}
