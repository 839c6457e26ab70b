import type { ApiToken } from "../../kube/resources/api-token.ts";
import { addFinalizer, removeFinalizer } from "../../kube/resources/api-token-api.ts";
import { FINALIZER, ROTATE_ANNOTATION } from "../../kube/resources/group.ts";
import type { SecretView } from "../../kube/resources/secret.ts";
import { deleteSecret } from "../../kube/resources/secret-api.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import {
  issueToken,
  type NewCredential,
  replaceToken,
  revokeTokens,
  type TokenGrant,
  updateToken,
} from "../../postgres/token-writes.ts";
import { type HashMethod, makeTokenHash, type TokenHash } from "../../runtime/token-hash.ts";
import { diffDecoration } from "../../token/decoration.ts";
import { currentKey, findPepper, hashToken, type Key } from "../../token/keyring.ts";
import { encryptMetadata } from "../../token/metadata-cipher.ts";
import type { AppliedPolicy, DesiredToken } from "../../token/model.ts";
import type { Action } from "../../token/plan/action.ts";
import { createToken, type NewToken } from "../../token/token-string.ts";
import { keyOf, type ObserveContext } from "./caches.ts";
import type { Observation } from "./observe.ts";
import { mendMetadata, readPlaintext, releaseSecret, StaleViewError, writeContents } from "./secret-writes.ts";

/** What actions need besides what was observed. */
export interface ExecuteContext extends ObserveContext {
  /** The right to write to the database: this leader's epoch. Throws when the database is not available. */
  readonly getFence: () => Promise<Fence>;
  readonly hashMethod: HashMethod;
}

/** The state that one plan's actions share. A plaintext token lives here, from its row to its Secret. */
interface Execution {
  readonly context: ExecuteContext;
  readonly key: string;
  readonly observation: Observation;
  resource: ApiToken | undefined;
  newToken?: NewToken & { readonly pepper: Key; readonly hash: TokenHash };
}

/** Carries out the actions one after the other. The first failure ends it; the next pass sees how far it came. */
export async function execute(
  context: ExecuteContext,
  key: string,
  observation: Observation,
  actions: readonly Action[],
): Promise<void> {
  const execution: Execution = { context, key, observation, resource: observation.resource };
  for (const action of actions) await executeAction(execution, action);
}

async function executeAction(execution: Execution, action: Action): Promise<void> {
  const { context } = execution;
  switch (action.kind) {
    case "addFinalizer":
      execution.resource = await addFinalizer(context.transport, needResource(execution));
      context.caches.apiTokens.upsert(execution.resource);
      return;
    case "issueToken":
      return issue(execution, action);
    case "replaceToken":
      return replace(execution, action);
    case "updateToken": {
      const grant = describeGrant(execution, action.tokenId, action.expiresAt);
      return updateToken(context.db, await context.getFence(), action.tokenId, grant);
    }
    case "writeSecret":
      return writeSecret(execution, action);
    case "rewriteSecret":
      return rewriteSecret(execution, action);
    case "decorateSecret":
      return decorate(execution);
    case "revokeTokens": {
      const reason = action.note === undefined ? action.reason : `${action.reason}: ${action.note}`;
      return revokeTokens(context.db, await context.getFence(), action.tokenIds, reason, action.at);
    }
    case "deleteSecret": {
      const seen = needSecret(execution, action.name);
      await deleteSecret(context.transport, seen);
      context.caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
      return;
    }
    case "releaseSecret":
      return releaseSecret(context, needSecret(execution, action.name));
    case "removeFinalizer":
      return finalize(execution);
  }
}

async function issue(execution: Execution, action: Action & { kind: "issueToken" }): Promise<void> {
  const { context } = execution;
  const { namespace, name, uid, creationTimestamp } = needResource(execution).metadata;
  const fence = await context.getFence();
  const row = {
    ...(await createCredential(execution, action)),
    namespace,
    name,
    resourceUid: uid,
    resourceCreatedAt: new Date(creationTimestamp ?? action.issuedAt),
    revision: action.revision,
    activeSince: action.activeSince,
  };
  await issueToken(context.db, fence, row, needPolicy(execution).owner);
}

async function replace(execution: Execution, action: Action & { kind: "replaceToken" }): Promise<void> {
  const { db, getFence } = execution.context;
  const credential = await createCredential(execution, action);
  await replaceToken(db, await getFence(), action.tokenId, credential);
}

/** Makes a token and what its row says of it; keeps the plaintext for the Secret. */
async function createCredential(
  execution: Execution,
  { issuedAt, expiresAt }: { issuedAt: Date; expiresAt: Date },
): Promise<NewCredential> {
  const { context, observation } = execution;
  const pepper = currentKey(context.keyring.peppers, observation.observed.now);
  const token = createToken();
  const hash = await makeTokenHash(hashToken(token.plaintext, pepper), context.hashMethod);
  execution.newToken = { ...token, pepper, hash };
  return {
    ...describeGrant(execution, token.id, expiresAt),
    ...hash,
    id: token.id,
    keyId: pepper.id,
    issuedAt,
  };
}

function describeGrant(execution: Execution, tokenId: string, expiresAt: Date): TokenGrant {
  const { owner, description, scopes, allowedCidrs, metadata } = needDesired(execution);
  const { grace } = needPolicy(execution);
  const { context, observation } = execution;
  const key = currentKey(context.keyring.encryption, observation.observed.now);
  const encryptedMetadata = encryptMetadata(metadata, tokenId, key);
  return { owner, description, scopes, allowedCidrs, grace, expiresAt, encryptedMetadata };
}

async function writeSecret(execution: Execution, action: Action & { kind: "writeSecret" }): Promise<void> {
  const { context, observation, newToken } = execution;
  if (newToken === undefined) throw new Error("a Secret is to be written, but no token was issued in this pass");
  const desired = needDesired(execution);
  await writeContents(context, needResource(execution), desired, observation.secret, {
    subject: { id: newToken.id, owner: desired.owner, expiresAt: action.expiresAt },
    plaintext: newToken.plaintext,
    pepper: newToken.pepper,
    hash: newToken.hash,
    handledRotateAt: action.handledRotateAt,
  });
}

async function rewriteSecret(execution: Execution, action: Action & { kind: "rewriteSecret" }): Promise<void> {
  const { context, observation } = execution;
  const desired = needDesired(execution);
  const record = observation.tokens.find((token) => token.id === action.tokenId);
  const pepper = record && findPepper(context.keyring, record.keyId);
  if (record === undefined || pepper === undefined) throw new StaleViewError(`the row ${action.tokenId} is not known`);
  const source = needSecret(execution, action.from);
  await writeContents(context, needResource(execution), desired, observation.secret, {
    subject: { id: record.id, owner: desired.owner, expiresAt: action.expiresAt },
    plaintext: await readPlaintext(context, source, record, pepper),
    pepper,
    hash: record,
    handledRotateAt: source.metadata.annotations[ROTATE_ANNOTATION],
  });
}

async function decorate(execution: Execution): Promise<void> {
  const { context, observation } = execution;
  const { secret, wantedDecoration } = observation;
  if (secret === undefined || wantedDecoration === undefined) return;
  await mendMetadata(context, needResource(execution), secret, diffDecoration(secret.metadata, wantedDecoration));
}

/** With the last finalizer gone the object is gone. */
async function finalize(execution: Execution): Promise<void> {
  const { transport, caches } = execution.context;
  const resource = needResource(execution);
  const isLast = resource.metadata.finalizers?.every((finalizer) => finalizer === FINALIZER) ?? true;
  const result = await removeFinalizer(transport, resource);
  if (isLast) caches.apiTokens.remove(execution.key, resource.metadata.uid);
  else caches.apiTokens.upsert(result);
}

function needResource({ resource, key }: Execution): ApiToken {
  if (resource === undefined) throw new Error(`the plan for ${key} acts on an ApiToken that does not exist`);
  return resource;
}

function needDesired({ observation, key }: Execution): DesiredToken {
  const { desired } = observation.spec;
  if (desired === undefined) throw new Error(`the plan for ${key} acts on a spec that could not be read`);
  return desired;
}

function needPolicy({ observation, key }: Execution): AppliedPolicy {
  const { policy } = observation;
  if (policy.kind !== "allowed") throw new Error(`the plan for ${key} issues a token that no policy allows`);
  return policy.policy;
}

function needSecret({ observation, key }: Execution, name: string): SecretView {
  const seen = [observation.secret, ...observation.strays].find((view) => view?.metadata.name === name);
  if (seen === undefined) throw new Error(`the plan for ${key} acts on a Secret that was not seen`);
  return seen;
}
